import errno
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version

import pytest
import typer

from penstock.cli import app as cli
from penstock.errors import (
    ConfigurationError,
    ExitCode,
    Fenced,
    OperatorMustDecide,
    PenstockError,
    ServerUnreachable,
    UsageError,
)

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command line with one command, `fail`, that raises what it is given; returns the exit code."""

    def runner(error: BaseException | None, *arguments: str) -> int:
        app = typer.Typer(pretty_exceptions_enable=False)
        app.callback()(cli.options)

        @app.command()
        def fail() -> None:  # pyright: ignore[reportUnusedFunction] # Typer calls it
            if error is not None:
                raise error

        monkeypatch.setattr(cli, "app", app)
        monkeypatch.setattr(sys, "argv", ["penstock", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        code = caught.value.code
        assert isinstance(code, int)
        return code

    return runner


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PenstockError("findings"), ExitCode.FINDINGS),
        (UsageError("what?"), ExitCode.USAGE),
        (ConfigurationError("mend penstock.toml"), ExitCode.CONFIGURATION),
        (ServerUnreachable("start it"), ExitCode.UNREACHABLE),
        (OperatorMustDecide("choose"), ExitCode.OPERATOR_MUST_DECIDE),
        (Fenced("another one"), ExitCode.DUPLICATE_IDENTITY),
    ],
)
def test_an_error_of_ours_becomes_its_message_and_its_exit_code(
    run: Run, capsys: pytest.CaptureFixture[str], error: PenstockError, code: int
) -> None:
    error.add_note("topic flights")
    assert run(error, "fail") == code
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"error: {error}\ntopic flights\n")


def test_debug_adds_the_traceback(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ConfigurationError("mend it"), "--debug", "fail") == ExitCode.CONFIGURATION
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("error: mend it\n")


def test_what_nobody_expected_is_a_bug_to_report(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(KeyError("boom"), "fail") == ExitCode.BUG
    err = capsys.readouterr().err
    assert "please report it: KeyError: 'boom'" in err
    assert "penstock --debug" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/srv/x"), "error: /srv/x: Permission denied\n"),
        (OSError(errno.ENOSPC, "No space left on device"), "error: writing: No space left on device\n"),
    ],
)
def test_what_the_machine_refuses_is_no_bug(
    run: Run, capsys: pytest.CaptureFixture[str], error: OSError, told: str
) -> None:
    assert run(error, "fail") == ExitCode.CONFIGURATION
    assert capsys.readouterr().err == told


def test_another_trouble_with_files_is_a_bug(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there should have been looked for."""
    assert run(FileNotFoundError(errno.ENOENT, "No such file or directory", "x"), "fail") == ExitCode.BUG
    assert "please report it" in capsys.readouterr().err


def test_ctrl_c_ends_with_130(run: Run) -> None:
    assert run(KeyboardInterrupt(), "fail") == 130


def test_a_command_that_works_ends_with_0(run: Run) -> None:
    assert run(None, "fail") == ExitCode.DONE


def test_an_option_that_does_not_exist_is_a_usage_error(run: Run) -> None:
    assert run(None, "--nonsense") == ExitCode.USAGE


def test_the_version_is_the_packages(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(None, "--version") == ExitCode.DONE
    assert capsys.readouterr().out == f"penstock {version('penstock')}\n"


def test_help_loads_none_of_the_heavy_modules() -> None:
    """`penstock --help` is fast because of what it does not import."""
    program = (
        "import sys\n"
        "from penstock.cli.app import app\n"
        "app(['--help'], standalone_mode=False)\n"
        "heavy = {'confluent_kafka', 'fastavro', 'avro', 'pydantic', 'starlette', 'uvicorn', 'httpx', 'jgo'}\n"
        "print('HEAVY', sorted(heavy & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY []"
