"""The fixture in real runs of pytest: the files of docs/testing.md, random order, pytest-xdist, and failures."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest
from support.entries import FIELDS
from support.processes import SECONDS, environment
from support.startup import hide_other_instrumentations

from spanforge.model_registry import ModelRegistry

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PAGE = (ROOT / "docs" / "testing.md").read_text("utf-8")
WITHOUT_PLUGINS = {"PYTEST_ADDOPTS": "-pno:logfire -pno:pytest_logfire"}
"""Leaves out plugins of other packages, whose import takes more than a second."""
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```py\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give a folder with the files of the page, and a registry file."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    registry = ModelRegistry(auto_emit=False)
    registry.register(**{**FIELDS, "model_id": "acme-chat-2"})
    registry.save(tmp_path / "models.json")
    return tmp_path


def run(folder: Path, *arguments: str, program: tuple[str, ...] = ("pytest", "-q")) -> subprocess.CompletedProcess[str]:
    """Run pytest, or another module, in a folder; warnings are errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", *program, *arguments],
        cwd=folder,
        env=environment(**WITHOUT_PLUGINS),
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * SECONDS,
    )


def check_passed(done: subprocess.CompletedProcess[str], number: int) -> None:
    """Check that tests passed, with nothing on standard error: neither from the library nor from pytest."""
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert f"{number} passed" in done.stdout
    assert "model registry:" not in done.stdout


def test_the_page(project: Path) -> None:
    """The files of the page pass, quietly, though the application's module registers a model without a provider."""
    assert sorted(FILES) == ["app.py", "client.py", "conftest.py", "test_app.py"]
    (project / "conftest.py").write_text(FILES["conftest.py"].replace("trace.set_tracer_provider", "str"))
    (project / "test_app.py").write_text(re.sub(r"def test_call.*?\n\n\n", "", FILES["test_app.py"], flags=re.DOTALL))
    check_passed(run(project), 3)
    for name in ("conftest.py", "test_app.py"):
        (project / name).write_text(FILES[name])
    check_passed(run(project), 4)


SHUFFLE = """
import random

def pytest_collection_modifyitems(items):
    random.Random({seed}).shuffle(items)
"""


def test_any_order(project: Path) -> None:
    """Tests that repeat in a random order, in each of two processes, do not affect each other."""
    repeated = FILES["test_app.py"].replace("import app\n", "import app\nimport pytest\n") + textwrap.dedent("""

        @pytest.mark.parametrize("number", range(20))
        def test_again(number, model_registry):
            assert list_models() == [] == model_registry.events == model_registry.spans
            test_each_test_has_an_empty_registry(model_registry)
            assert len(model_registry.events) == 1
    """)
    (project / "test_app.py").write_text(repeated)
    seed = random.randrange(10**6)
    (project / "conftest.py").write_text(FILES["conftest.py"] + SHUFFLE.format(seed=seed))
    done = run(project, "-n", "2")
    assert f"{24} passed" in done.stdout, (seed, done.stdout)
    check_passed(done, 24)


def test_a_failure_is_readable(project: Path) -> None:
    """A failed assertion shows the line of the test and the text of the page, and no line of the library."""
    (project / "test_app.py").write_text(FILES["test_app.py"].replace('owner="chat-team", ', 'owner="search-team", '))
    done = run(project, "--tb=short")
    assert done.returncode == 1
    (shown,) = re.findall(r"```text\n(E   AssertionError.*?)```", PAGE, re.DOTALL)
    wanted = shown.replace("owner='search-team'", "owner='search-team', risk_tier='high', status='active'")
    wanted = wanted.replace("owner='chat-team'", "owner='chat-team', risk_tier='high', status='active'")
    assert wanted in done.stdout
    assert "test_app.py:20: in test_call" in done.stdout
    assert "testing.py" not in done.stdout.replace("docs/testing.py", "")


def test_the_module_does_not_import_pytest(tmp_path: Path) -> None:
    """Tests of unittest run without pytest, and print nothing of the library."""
    (tmp_path / "test_it.py").write_text(
        textwrap.dedent("""
            import sys, unittest
            from spanforge.model_registry import deprecate_model, register_model
            from spanforge.model_registry.testing import isolate_registry

            register_model("acme-chat-1", "Acme Chat 1", "1", "low", "chat-team", "at import")

            class Test(unittest.TestCase):
                @isolate_registry(keep_models=True)
                def test_call(self):
                    deprecate_model("acme-chat-1")
                    assert "pytest" not in sys.modules

                def test_span(self):
                    with isolate_registry() as isolated:
                        with isolated.tracer_provider.get_tracer("app").start_as_current_span("chat") as span:
                            span.set_attribute("gen_ai.request.model", "acme-chat-1")
                        isolated.assert_span(status="unregistered")
        """)
    )
    done = run(tmp_path, program=("unittest", "-q"))
    assert done.returncode == 0, done.stderr
    assert "model registry:" not in done.stdout + done.stderr
    assert "Ran 2 tests" in done.stderr


CLIENT = """
import os
import openai
import pytest
from models_api import serving
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from spanforge.model_registry import deprecate_model, register_model

@pytest.fixture
def client(model_registry):
    OpenAIInstrumentor().instrument(tracer_provider=model_registry.tracer_provider)
    with serving() as api, openai.OpenAI(base_url=api, api_key="none-needed") as client:
        yield client
    OpenAIInstrumentor().uninstrument()

@pytest.mark.parametrize("owner", ["chat-team", "search-team"])
def test_call(owner, client, model_registry):
    register_model("gpt-4o", "GPT-4o", "1", "high", owner, "support agent")
    deprecate_model("gpt-4o", reason="old", successor="gpt-5")
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "?"}])
    model_registry.assert_span(owner=owner, risk_tier="high", status="deprecated", successor="gpt-5")
"""


def test_a_real_client(tmp_path: Path) -> None:
    """The span of a real client and its instrumentation has owner and tier, in each test those of the test."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["spanforge.model_registry.testing"]\n')
    (tmp_path / "test_client.py").write_text(CLIENT)
    (tmp_path / "models_api.py").write_text((EXAMPLES / "support_agent" / "models_api.py").read_text("utf-8"))
    check_passed(run(tmp_path), 2)


CALL = """
import openai
from models_api import serving
from spanforge.model_registry import register_model

register_model("gpt-4o", "GPT-4o", "1", "high", "chat-team", "support agent")

def test_call(telemetry):
    with serving() as api, openai.OpenAI(base_url=api, api_key="none-needed") as client:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "?"}])
    telemetry.assert_span(owner="chat-team", risk_tier="high", status="active")
"""
PROVIDER = re.compile(r"^provider = .*?\n\n", re.DOTALL | re.MULTILINE)


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """Give a folder with a test that calls a model by a real client."""
    (tmp_path / "test_call.py").write_text(CALL)
    (tmp_path / "models_api.py").write_text((EXAMPLES / "support_agent" / "models_api.py").read_text("utf-8"))
    return tmp_path


def test_a_real_client_with_the_global_provider(calls: Path) -> None:
    """With the lines that activate an instrumentation, the fixture of the page has the spans of a real client."""
    (calls / "conftest.py").write_text(FILES["conftest.py"] + FILES["client.py"])
    check_passed(run(calls), 1)


def test_pytest_under_opentelemetry_instrument(calls: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """With the provider that the command has set, the fixture has the spans of a real client."""
    conftest, number = PROVIDER.subn("", FILES["conftest.py"])
    assert number == 1
    conftest = conftest.replace("tracer_provider=provider", "tracer_provider=trace.get_tracer_provider()")
    (calls / "conftest.py").write_text(conftest)
    settings = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
    settings |= hide_other_instrumentations(tmp_path_factory.mktemp("hidden"))
    done = subprocess.run(
        [Path(sysconfig.get_path("scripts"), "opentelemetry-instrument"), sys.executable, "-m", "pytest", "-q"],
        cwd=calls,
        env=environment(**settings, **WITHOUT_PLUGINS),
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
