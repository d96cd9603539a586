"""What a deploy does to records that are parked: they are state, and state is not lost unasked."""

from __future__ import annotations

from penstock.dsl.pipeline import Pipeline
from penstock.schemas.topic import Topic
from penstock.topology.deployment import Deployment, deployment_of
from penstock.topology.plan import plan_of
from penstock.topology.policy import Policy

IN = Topic("in", key=str, value=str)


def deployed(on_error: Policy) -> Deployment:
    pipeline = Pipeline("p", on_error=on_error)
    pipeline.stream(IN).map(str.upper, name="shout").to(Topic("out", key=str, value=str))
    return deployment_of(pipeline.topology(), {})


def test_taking_the_policy_away_is_a_loss_of_what_is_parked() -> None:
    told = plan_of(deployed("park_key"), deployed("dead_letter"))
    assert {change.what for change in told.losses} == {"store 'parked-in'", "store 'parked-keys-in'"}


def test_adding_it_loses_nothing() -> None:
    told = plan_of(deployed("dead_letter"), deployed("park_key"))
    assert told.changes
    assert told.is_safe


def test_another_schedule_changes_nothing_that_is_deployed() -> None:
    assert not plan_of(deployed("dead_letter"), deployed("block")).changes
