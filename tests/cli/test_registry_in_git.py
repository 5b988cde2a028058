"""The page "Registry in git": its files, its commands and its pipelines, in real repositories."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml
from support.command_server import serving_commands
from support.commands import command_environment
from support.receivers import Receiver, receiving_http
from support.repositories import Repository

from spanforge.model_registry._cli.commands import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "registry-in-git.md").read_text("utf-8")
BLOCK = re.compile(r"```(\w+)\n(.*?)```\n(?:\n```text\n(.*?)```)?", re.DOTALL)
OUTSIDE = ("pip ", "kubectl ")
"""The starts of commands that need the network or a cluster."""
SEARCH_TEAM = """\
- {model_id: acme-embed-1, name: Acme Embed 1, version: "1", risk_tier: low, owner: search-team, purpose: search,
   metadata: {contact: "#search-team"}}
"""


class Block(NamedTuple):
    """A block of code of the page, with the output below it, if there is one."""

    language: str
    code: str
    output: str


def blocks(heading: str, language: str) -> list[Block]:
    """Return the blocks of a section of the page."""
    section = PAGE.partition(f"\n{heading}\n")[2]
    level = heading.partition(" ")[0]
    section = re.split(rf"\n#{{1,{len(level)}}} ", section, maxsplit=1)[0]
    return [block for block in map(Block._make, BLOCK.findall(section)) if block.language == language]


GITHUB, GITLAB = (yaml.safe_load(blocks(f"### {name}", "yaml")[0].code) for name in ("GitHub Actions", "GitLab"))


class Story:
    """The repository of the page on a server, the clone of an author, and a shell in which commands run."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self.origin = Repository(folder / "origin")
        self.path = f"{programs}{os.pathsep}{os.environ['PATH']}"

    def clone(self, name: str, *options: str) -> Path:
        """Clone the server's repository."""
        self.origin.git("clone", "--quiet", *options, f"file://{self.origin.folder}", self.folder / name)
        return self.folder / name

    def review_on_gitlab(self, folder: Path, labels: str = "") -> subprocess.CompletedProcess[str]:
        """Run GitLab's job for the merge request of the commit that a clone has checked out."""
        predefined = {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main", "CI_MERGE_REQUEST_LABELS": labels}
        return self.run("\n".join(GITLAB["review"]["script"]), folder, GIT_CONFIG_GLOBAL=os.devnull, **predefined)

    def run(self, code: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run the lines of a script in a shell, without those that need other machines."""
        environment = command_environment(PATH=self.path, **settings)
        lines = [line for line in code.splitlines() if not line.startswith(OUTSIDE)]
        command = ["bash", "-e", "-o", "pipefail", "-c", "\n".join(lines)]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def steps(job: Mapping[str, Any], **values: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the commands of a job of GitHub, each with its environment; ``values`` are its expressions."""
    for step in job["steps"]:
        if "run" in step:
            environment = {
                name: re.sub(r"\$\{\{ (\S+) \}\}", lambda found: values[found[1].replace(".", "_")], value)
                for name, value in step.get("env", {}).items()
            }
            yield step["run"], environment


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Give the story after the merge of the page's change: the main branch has its merge commit."""
    with serving_commands() as programs:
        yield prepare_story(Story(tmp_path_factory.mktemp("story"), programs))


def prepare_story(story: Story) -> Story:
    """Tell the story up to the merge."""
    before, after = (block.code for block in blocks("## Entry", "yaml")[:2])
    story.origin.commit({"models/chat-team.yaml": before, "models/search-team.yaml": SEARCH_TEAM, "README.md": "x"})
    author = Repository(story.clone("author"))
    author.git("switch", "--quiet", "--create", "deprecate")
    (author.folder / "models" / "chat-team.yaml").write_text(after)
    for block in blocks("## Review", "console"):
        done = story.run(block.code, author.folder)
        assert (done.returncode, done.stdout, done.stderr) == (0, block.output, "")
    author.commit({"README.md": "y"}, "Deprecate acme-chat-1")
    author.git("push", "--quiet", "origin", "deprecate")
    moment = {"GIT_COMMITTER_DATE": "2026-11-02T09:00:00Z"}
    story.origin.git("merge", "--quiet", "--no-ff", "-m", "Merge a request", "deprecate", **moment)
    return story


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Give a receiver of events."""
    with receiving_http() as running:
        yield running


def list_sent(receiver: Receiver) -> list[tuple[str | None, ...]]:
    """Return name, model, status, actor and revision of the events that a receiver got."""
    keys = ("model_id", "status", "actor", "source_revision")
    return [(name, *(event.get(f"model_registry.{key}") for key in keys)) for name, event in receiver.list_events()]


def test_the_pipelines(story: Story, receiver: Receiver) -> None:
    """Both pipelines explain and allow the change, and send its events: the same spans, as in each repeat of a job."""
    commit, before = story.origin.git("rev-parse", "HEAD", "HEAD^1").split()
    summary = story.folder / "summary.md"
    merge = story.clone("github", f"--depth={GITHUB['jobs']['review']['steps'][0]['with']['fetch-depth']}")
    for code, settings in steps(GITHUB["jobs"]["review"]):
        done = story.run(code, merge, GITHUB_STEP_SUMMARY=str(summary), **settings)
        assert (done.returncode, done.stderr) == (0, ""), (code, done)
    assert "- `acme-chat-1` is now deprecated; it was active\n" in summary.read_text("utf-8")

    branch = story.clone("gitlab")
    for change in (["update-ref", "refs/remotes/origin/main", before], ["checkout", "--quiet", "origin/deprecate"]):
        story.origin.git("-C", branch, *change)
    done = story.review_on_gitlab(branch)
    assert (done.returncode, done.stderr) == (0, "")
    assert "! acme-chat-1 is now deprecated; it was active\n" in done.stdout

    values = {"github_event_before": before, "vars_OTLP_ENDPOINT": receiver.settings["OTEL_EXPORTER_OTLP_ENDPOINT"]}
    clone = story.clone("emit")
    for code, settings in steps(GITHUB["jobs"]["emit"], **values):
        done = story.run(code, clone, GITHUB_SHA=commit, GITHUB_ACTOR="ana", **settings)
        assert done.returncode == 0, (code, done)
    assert list_sent(receiver) == [
        ("model_registry.registered", "acme-chat-2", "active", "ana", commit),
        ("model_registry.registered", "acme-chat-1", "deprecated", "ana", commit),
        ("model_registry.deprecated", "acme-chat-1", "deprecated", "ana", commit),
    ]
    sent = [(span.trace_id, span.span_id, span.start_time_unix_nano) for span in receiver.spans]
    receiver.spans.clear()

    predefined = {
        "CI_COMMIT_BEFORE_SHA": before,
        "CI_COMMIT_SHA": commit,
        "GITLAB_USER_LOGIN": "ana",
        **GITLAB["variables"],
        **receiver.settings,
    }
    done = story.run("\n".join(GITLAB["emit"]["script"]), clone, **predefined)
    assert done.returncode == 0, done
    assert [(span.trace_id, span.span_id, span.start_time_unix_nano) for span in receiver.spans] == sent


def test_the_gates_of_the_pipelines(story: Story) -> None:
    """A change that removes models ends the jobs of merge requests, unless they have the label for exceptions."""
    folder = story.clone("remove")
    author = Repository(folder)
    author.commit({"models/chat-team.yaml": "[]\n"}, "Remove two models")
    *_, (gate, _) = steps(GITHUB["jobs"]["review"])
    done = story.run(gate, folder)
    assert done.returncode == 1
    findings = "Findings:\n  removed: acme-chat-2\n  removed: acme-chat-1\n"
    assert done.stdout.endswith(findings)
    done = story.review_on_gitlab(folder, "bug,no exception")
    assert (done.returncode, done.stdout.endswith(findings)) == (1, True)
    done = story.review_on_gitlab(folder, "bug,exception")
    assert (done.returncode, "- acme-chat-2 is removed" in done.stdout) == (0, True), done
    gitlab_gate = GITLAB["review"]["script"][-1]
    assert gitlab_gate.partition("--fail-on ")[2] == gate.partition("--fail-on ")[2]
    assert {"labeled", "unlabeled"} <= set(GITHUB[True]["pull_request"]["types"])  # YAML reads the key "on" as true


def test_gitlab_reviews_the_merge(story: Story) -> None:
    """A request that began before another one was merged is checked and compared as it will be after its own merge."""
    author = Repository(story.clone("late"))
    author.git("checkout", "--quiet", "--detach", "HEAD^1")
    author.commit({"models/new-team.yaml": SEARCH_TEAM.replace("acme-embed-1", "acme-embed-2")}, "Add a model")
    done = story.review_on_gitlab(author.folder)
    assert done.returncode == 0, done
    assert "\ngit:origin/main:models -> models: 1 added\n" in done.stdout


def test_the_first_push_of_a_branch(story: Story, receiver: Receiver) -> None:
    """The first push of a branch, for which GitLab names a commit of zeros, sends the events of all models."""
    author = Repository(story.clone("new"))
    commit = author.commit({"models/chat-team.yaml": "[]\n"}, "Remove two models")
    settings = {"CI_COMMIT_BEFORE_SHA": "0" * 40, "CI_COMMIT_SHA": commit, **receiver.settings}
    done = story.run("\n".join(GITLAB["emit"]["script"]), author.folder, **settings)
    assert done.returncode == 0, done.stderr
    assert [event[1] for event in list_sent(receiver)] == ["acme-embed-1"]


def test_roll_out_and_evidence(story: Story, receiver: Receiver) -> None:
    """The services' setting has all teams' files. Evidence has the commit, the changes and the digests that git has."""
    commit, before = story.origin.git("rev-parse", "HEAD", "HEAD^1").split()
    clone = story.clone("evidence")
    for block in blocks("## Roll-out", "console"):
        done = story.run(block.code, clone)
        assert (done.returncode, done.stderr) == (0, "")
    settings = {"CI_COMMIT_BEFORE_SHA": before, "CI_COMMIT_SHA": commit, **receiver.settings}
    assert story.run("\n".join(GITLAB["emit"]["script"]), clone, **settings).returncode == 0
    receiver.write_archive(clone / "archive" / "spans.binpb")
    story.run(f"{PROGRAM} evidence keygen --output signer", clone)
    make, show, log = (story.run(block.code, clone) for block in blocks("## Evidence", "console"))
    assert log.stdout.strip() == commit
    assert make.returncode == 1, make  # there are no calls
    with zipfile.ZipFile(clone / "november.zip") as package:
        stated = json.loads(package.read("attestation.json"))
    assert stated["registry"]["source_revision"] == commit
    assert show.stdout.split()[0] in [file["sha256"] for file in stated["registry"]["files"]]
    assert [(change["model_id"], change["event"], change["source_revision"]) for change in stated["changes"]] == [
        ("acme-chat-1", "recorded", commit)
    ]


def test_extras_of_the_pipelines() -> None:
    """The packages that the page installs have these extras."""
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    extras = {
        extra for names in re.findall(r"spanforge-model-registry\[([\w,]+)\]", PAGE) for extra in names.split(",")
    }
    assert {extra for extra in extras if f"\n{extra} = [" not in project} == set()


def test_the_hook(story: Story) -> None:
    """The page's hook exists. On the staged files that its pattern selects, its command accepts and refuses."""
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    [use] = yaml.safe_load(blocks("### Before each commit", "yaml")[0].code)["repos"]
    assert [each["id"] for each in use["hooks"]] == [hook["id"]]
    assert hook["additional_dependencies"] == [".[cli]"]
    repository = Repository(story.clone("hook"))
    (repository.folder / "models" / "search-team.yaml").write_text("- model_id: 7\n")
    (repository.folder / "models" / "notes.md").write_text("x")
    repository.git("add", "--all")
    staged = repository.git("diff", "--cached", "--name-only").splitlines()
    chosen = [name for name in staged if re.search(use["hooks"][0]["files"], name)]
    assert chosen == ["models/search-team.yaml"]
    for names, accepted in ((chosen, False), (["models/chat-team.yaml"], True)):
        done = story.run(shlex.join([*hook["entry"].split(), *names]), repository.folder)
        assert (done.returncode == 0) == accepted, done
