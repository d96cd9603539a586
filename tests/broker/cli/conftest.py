import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.cli.app import main
from penstock.embedded.registry import RegistryServer
from penstock.testing.pytest_plugin import KafkaUnderTest

Penstock = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kafka: KafkaUnderTest, registry: RegistryServer) -> Path:
    """An empty project on the session's Kafka and registry; it is the current folder."""
    for name in [name for name in os.environ if name.upper().startswith("PENSTOCK_")]:
        monkeypatch.delenv(name)
    (tmp_path / "penstock.toml").write_text('[project]\nname = "rivers"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_KAFKA__BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setenv("PENSTOCK_REGISTRY__URL", registry.url)
    return tmp_path


@pytest.fixture
def penstock_process(project: Path) -> Penstock:
    """Runs the command line as a process: for what imports the project's modules."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from penstock.cli.app import main; main()", *arguments]
        return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def penstock(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Penstock]:
    """Runs the command line in this process, which is faster."""
    assert project.exists()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["penstock", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
        code = ended.value.code
        assert isinstance(code, int)
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    yield run
    # The command line owns its process and sets up logging for it; pytest wants its own back.
    root.handlers[:] = handlers
    root.setLevel(level)
