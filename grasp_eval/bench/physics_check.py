"""Is the bed itself to be believed? What the oracle, the random baseline and the watch over the physics say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grasp_eval.bench.metrics import ORACLE_LIMIT, UNPHYSICAL_LIMIT

ORACLE, RANDOM = "oracle", "top_down"  # names of the bed's own contestants
NAMES = {ORACLE: "oracle (grasps from the true meshes)", RANDOM: "random grasps from above"}
GOOD, BAD, NOT_RUN = "good", "bad", "not run"
FEW = " So far: by its 95 % interval this could be otherwise, more rounds would tell."
DISTRUST = "Do not trust this bed: "


def checks(summary: Mapping[str, Any], references: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What must hold before the numbers of a run mean anything.

    Args:
        summary: of the run, see ``metrics.summarise``.
        references: contestant (``oracle``, ``top_down``) -> summary of its run on the same scenes; what is missing was
            not run. A run of one of them is its own reference.

    Returns:
        One entry per check: name, state (GOOD, BAD, NOT_RUN), share (see ``intervals.shares``, or None), text (a
        sentence).
    """
    runs = dict(references)
    if summary["detector"] in NAMES:
        runs.setdefault(summary["detector"], summary)
    oracle, random = (runs.get(name) for name in (ORACLE, RANDOM))
    return [
        _success(ORACLE, oracle, _rate(oracle) is not None and _rate(oracle) >= ORACLE_LIMIT, _oracle_text(oracle)),
        _success(RANDOM, random, _rate(random) is not None and _rate(random) < ORACLE_LIMIT, _random_text(random)),
        _unphysical(summary, "of this run"),
        *(_unphysical(run, f"of {NAMES[name]}") for name, run in runs.items() if run is not summary and name in NAMES),
    ]


def trusted(found: list[dict[str, Any]]) -> bool | None:
    """True when all checks are good, False when one is bad, None when some were not run."""
    states = {check["state"] for check in found}
    return False if BAD in states else None if NOT_RUN in states else True


def _rate(run: Mapping[str, Any] | None) -> float | None:
    return None if run is None else run["gsr"]["rate"]


def _success(name: str, run: Mapping[str, Any] | None, good: bool, text: str) -> dict[str, Any]:
    state = NOT_RUN if _rate(run) is None else GOOD if good else BAD
    return {"name": f"success of {NAMES[name]}", "state": state, "share": run["gsr"] if run else None, "text": text}


def _oracle_text(run: Mapping[str, Any] | None) -> str:
    rate = _rate(run)
    if rate is None:
        return "No attempt of the oracle on these scenes, so nothing says that good grasps hold in this bed."
    if rate < ORACLE_LIMIT:
        return (
            f"{DISTRUST}grasps made from the true meshes hold in {100 * rate:.1f} % of attempts only, expected at "
            f"least {100 * ORACLE_LIMIT:.0f} %. What fails here may be the physics and not the detector."
        )
    doubt = FEW if run["gsr"]["wilson"][0] < ORACLE_LIMIT else ""
    return f"Grasps made from the true meshes hold, as they must (at least {100 * ORACLE_LIMIT:.0f} %).{doubt}"


def _random_text(run: Mapping[str, Any] | None) -> str:
    rate = _rate(run)
    if rate is None:
        return "No attempt with random grasps on these scenes, so nothing says how easy they are."
    if rate >= ORACLE_LIMIT:
        return f"{DISTRUST}random grasps from above hold in {100 * rate:.1f} % of attempts; the scenes are too easy."
    return "What a detector has to beat: random grasps from above on the same scenes."


def _unphysical(run: Mapping[str, Any], whose: str) -> dict[str, Any]:
    share = run["unphysical"]
    doubt = FEW if share["within"] and share["wilson"][1] > UNPHYSICAL_LIMIT else ""
    state = {None: NOT_RUN, True: GOOD, False: BAD}[share["within"]]
    text = {
        NOT_RUN: "No attempt, so nothing to watch.",
        GOOD: f"Bodies overlap or fly off in at most {100 * UNPHYSICAL_LIMIT:.0f} % of attempts, as they must.{doubt}",
        BAD: f"{DISTRUST}in {100 * (share['rate'] or 0):.1f} % of attempts something happened that cannot happen in "
        f"the world (bodies overlap, something flies off), expected at most {100 * UNPHYSICAL_LIMIT:.0f} %.",
    }[state]
    return {"name": f"unphysical events {whose}", "state": state, "share": share, "text": text}
