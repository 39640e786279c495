"""A whole run measured: what the figures are, that they are free a second time, and what is refused."""

import asyncio
import json
from pathlib import Path

import pytest

from magid_agents.config import ConfigError
from magid_agents.evaluation.evaluate_run import Evaluation, evaluate, evaluate_run
from magid_agents.evaluation.judges import Judges, check_held_out, choose
from magid_agents.reading.trace import read_manifest
from magid_agents.store.rundir import RunDir, RunDirError
from magid_agents.viewer.report import write_report
from tests.evaluation.judging import judges
from tests.fake_run import run


def measure(out: Path, by: Judges, best_of: Path | None = None) -> Evaluation:
    return asyncio.run(evaluate(RunDir(out), by, best_of))


def estimates(found: Evaluation) -> dict[str, float]:
    return {f.name: f.interval.estimate for figures in found.sections.values() for f in figures}


def test_figures_of_a_run(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cake", "fog", "silence", "nonsense", "cat")
    found = measure(tmp_path / "out", judges())
    assert (found.dialogues, found.images) == (6, 3)
    figures = estimates(found)
    expected = {
        "images per dialogue": 3 / 6,
        "moments with an image": 3 / 4,
        "dialogues that failed": 1 / 6,
        "held_out, description": 0.5 + 0.2 / 3,
        "held_out, another dialogue's description": 0.2 / 3,
        "held_out, description, above that floor": 0.5,
        "questions satisfied": 1.0,
        "accepted at attempt 1": 2 / 4,
        "accepted at attempt 2": 1 / 2,
        "held_out, last attempt minus first": 0.2,
        "dropped": 1 / 4,
        "dropped by image_text_match": 1 / 4,
        "images painted per accepted image": 12 / 3,
        "dollars per accepted image": 0.0,
    }
    assert {name: figures[name] for name in expected} == pytest.approx(expected)


def test_a_second_evaluation_makes_no_call(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cake", "cat", "bird")
    first = measure(tmp_path / "out", judges())
    again = judges()
    second = measure(tmp_path / "out", again)
    assert second.as_dict() == first.as_dict()
    assert [by.scorer.calls for by in again.scorers] == [0, 0]  # type: ignore[attr-defined]  # fakes count
    assert not vars(again.embedder)["known"]


def test_rewriting_is_compared_with_as_many_paintings_of_the_first_prompt(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cake", "fog")
    more = ["budget.attempts=1", "budget.candidates=4"]
    run(tmp_path, out=tmp_path / "more", reuse=[tmp_path / "out"], sets=more)
    figures = estimates(measure(tmp_path / "out", judges(), tmp_path / "more"))
    # Of the two that were rewritten, rewriting helped the cake; the best fog is one of the first prompt's.
    assert figures["held_out, rewriting minus repainting"] == pytest.approx(0.2 / 2)
    assert figures["passes every score, rewriting minus repainting"] == pytest.approx(1 / 2)


def test_a_control_that_painted_too_few_is_refused(tmp_path: Path) -> None:
    run(tmp_path, "cake")
    run(tmp_path, out=tmp_path / "few", sets=["budget.attempts=1", "budget.candidates=3"])
    with pytest.raises(ConfigError, match="has no rewritten moment in common"):
        measure(tmp_path / "out", judges(), tmp_path / "few")


def test_an_image_that_is_gone_is_named(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    for image in (tmp_path / "out" / "images").rglob("*.png"):
        image.unlink()
    with pytest.raises(RunDirError, match=r"\.png: the image file no longer exists"):
        measure(tmp_path / "out", judges())


def test_a_run_without_a_match_scorer_is_measured_by_its_decisions(tmp_path: Path) -> None:
    run(tmp_path, "dog", "fog", sets=["scorers.image_text_match=null"])
    found = evaluate_run(tmp_path / "out")
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert written == found.as_dict()
    assert not written["sections"]["match"]
    assert any("no held-out scorer" in note for note in written["notes"])
    assert written["sections"]["yield"][0]["name"] == "images per dialogue"


def test_a_run_that_changes_has_no_evaluation_until_it_is_measured_again(tmp_path: Path) -> None:
    sets = ["scorers.image_text_match=null"]
    run(tmp_path, "dog", sets=sets)
    evaluate_run(tmp_path / "out")
    run(tmp_path, sets=[*sets, "budget.candidates=3"], update=True)
    assert not (tmp_path / "out" / "evaluation.json").exists()


def test_json_has_null_for_what_is_not_known(tmp_path: Path) -> None:
    run(tmp_path, "dog", sets=["scorers.image_text_match=null"])
    (first, *_) = evaluate_run(tmp_path / "out").as_dict()["sections"]["yield"]
    assert first["estimate"] == 1.0
    assert first["low"] is None  # of one dialogue there is no interval
    assert first["dialogues"] == 1


MODELS = {"painter": "retrieval@1+matcher@2", "scorers.image_text_match": "matcher@2"}


@pytest.mark.parametrize("identity", ["matcher@2", "retrieval@1+matcher@2"])
def test_a_scorer_that_chose_the_images_is_no_held_out_one(identity: str) -> None:
    with pytest.raises(ConfigError, match=r"--held-out open_clip:matcher: the run chose .* \(painter\)"):
        check_held_out("open_clip:matcher", identity, MODELS)


def test_another_model_of_the_same_backend_may_be_held_out() -> None:
    check_held_out("open_clip:other", "held-out-matcher@2", MODELS)


@pytest.mark.parametrize("named", ["open_clip", "open_clip:", "openclip:matcher"])
def test_a_mistyped_held_out_scorer_is_named(named: str, tmp_path: Path) -> None:
    run(tmp_path, "dog", sets=["scorers.image_text_match=null"])
    with pytest.raises(ConfigError, match=f"--held-out {named}"):
        choose(read_manifest(RunDir(tmp_path / "out")), named)


def test_a_run_that_kept_no_image_is_measured_by_the_rest(tmp_path: Path) -> None:
    run(tmp_path, "fog", "silence")
    found = measure(tmp_path / "out", judges())
    assert found.images == 0
    assert estimates(found)["images per dialogue"] == 0


def test_a_scorer_that_the_run_did_not_use_is_not_taken_for_its_own(tmp_path: Path) -> None:
    """As of a run with scorers of one's own, whose settings still name the shipped one."""
    run(tmp_path, "dog")
    manifest = read_manifest(RunDir(tmp_path / "out"))
    assert manifest["models"]["scorers.image_text_match"] == "fake-scorer"
    chosen = choose(manifest, None)
    assert [by.name for by in chosen.scorers] == ["held_out"]
    assert any("own image_text_match was fake-scorer" in note for note in chosen.notes)


def test_a_run_that_grows_has_no_figures_and_no_report_of_what_it_was(tmp_path: Path) -> None:
    sets = ["scorers.image_text_match=null"]
    run(tmp_path, "dog", "nonsense", sets=sets)
    evaluate_run(tmp_path / "out")
    again = run(tmp_path, sets=sets)
    assert (again.calls.computed, again.counts.failed) == (2, 1)  # what failed is asked again, and fails
    assert (tmp_path / "out" / "evaluation.json").exists()  # nothing has changed
    for more in ("cat", "{"):  # a dialogue, and a record that cannot be read
        with (tmp_path / "in.jsonl").open("a") as file:
            said = [{"speaker": "A", "text": f"look at my {more}"}]
            file.write("{\n" if more == "{" else json.dumps({"id": more, "utterances": said}) + "\n")
        write_report(RunDir(tmp_path / "out"))
        run(tmp_path, sets=sets)
        assert not (tmp_path / "out" / "evaluation.json").exists()
        assert not (tmp_path / "out" / "report.html").exists()
        evaluate_run(tmp_path / "out")


def test_an_earlier_version_of_the_runs_own_scorer_is_not_held_out() -> None:
    with pytest.raises(ConfigError, match="chose its images by this model"):
        check_held_out("open_clip:matcher", "matcher@new", {"scorers.aesthetics": "quality@a+matcher@old"})
    check_held_out("open_clip:held-out-matcher", "held-out-matcher@a", {"scorers.x": "matcher@old"})


def test_a_shipped_judge_that_does_not_fit_is_noted_and_one_that_is_named_refused(tmp_path: Path) -> None:
    """As when a run by the one shipped matcher is compared with one by the other."""
    run(tmp_path, "dog")
    manifest = dict(read_manifest(RunDir(tmp_path / "out")))
    other = {**manifest, "models": {"scorers.image_text_match": "held-out-matcher@x"}}
    found = choose(manifest, None, [other])
    assert any("no held-out scorer (--held-out open_clip:held-out-matcher" in note for note in found.notes)
    assert any("another run's image_text_match is held-out-matcher@x" in note for note in found.notes)
    with pytest.raises(ConfigError, match="chose its images by this model"):
        choose(manifest, "open_clip:held-out-matcher", [other])


def test_a_control_of_other_scorers_is_refused(tmp_path: Path) -> None:
    run(tmp_path, "cake")
    run(tmp_path, out=tmp_path / "more", sets=["budget.attempts=1", "budget.candidates=4"])
    manifest = tmp_path / "more" / "run.json"
    manifest.write_text(manifest.read_text().replace('"fake-unsafe"', '"another"'))
    with pytest.raises(ConfigError, match="was judged by other scorers"):
        evaluate_run(tmp_path / "out", best_of=tmp_path / "more")
