"""Hooks as processes: in order, bounded in number, time and queue, and never in the way of anybody."""

from __future__ import annotations

import logging
import os
import select
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from xcatd.db.watching import RowChange
from xcatd.notification.hooks import HookCall, Hooks
from xcatd.notification.paths import environment
from xcatd.notification.runner import SILENCE, HookRunner

PATIENCE = 20.0  # seconds; a busy machine starts programs slowly


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def runner() -> Iterator[HookRunner]:
    made = HookRunner(os.environ)
    yield made
    made.close(0)


def test_a_hook_gets_its_words_and_its_input(tmp_path: Path, runner: HookRunner):
    hook = script(tmp_path / "hook", f'echo "$# $2" > {tmp_path}/got; cat >> {tmp_path}/got')
    runner.add([HookCall("x", hook, (str(hook), "-a", "b $(c) `d`; e"), 'line "1"\nline ☃\n')])
    assert runner.wait(PATIENCE)
    assert (tmp_path / "got").read_text() == '2 b $(c) `d`; e\nline "1"\nline ☃\n'


def test_one_hook_sees_changes_in_order(tmp_path: Path, runner: HookRunner):
    hook = script(tmp_path / "hook", f"cat >> {tmp_path}/got")
    runner.add([HookCall("x", hook, (str(hook),), f"{number}\n") for number in range(20)])
    assert runner.wait(PATIENCE)
    assert (tmp_path / "got").read_text().split() == [str(number) for number in range(20)]


def test_nobody_waits_for_hooks(tmp_path: Path, runner: HookRunner):
    os.mkfifo(tmp_path / "gate")
    hook = script(tmp_path / "hook", f"read x < {tmp_path}/gate; cat > {tmp_path}/got")
    runner.add([HookCall("x", hook, (str(hook),), "text")])
    assert not (tmp_path / "got").exists()
    (tmp_path / "gate").write_text("go\n")
    assert runner.wait(PATIENCE)
    assert (tmp_path / "got").read_text() == "text"


def test_a_slow_hook_does_not_hold_up_another(tmp_path: Path, runner: HookRunner):
    os.mkfifo(tmp_path / "gate")
    slow = script(tmp_path / "slow", f"read x < {tmp_path}/gate")
    quick = script(tmp_path / "quick", f"echo done > {tmp_path}/gate")
    runner.add(
        [HookCall("slow", slow, (str(slow),), ""), HookCall("quick", quick, (str(quick),), "")]
    )
    assert runner.wait(PATIENCE)


def test_a_hook_that_hangs_is_ended_with_all_it_started(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    hook = script(tmp_path / "hook", f"sleep 600 & echo $! > {tmp_path}/child; wait")
    runner = HookRunner(os.environ, longest=0.5)
    runner.add([HookCall("/x/hook", hook, (str(hook),), "")])
    assert runner.wait(PATIENCE)
    runner.close(0)
    assert "ended the notification hook /x/hook" in caplog.text
    assert _ends(int((tmp_path / "child").read_text()))


def _ends(pid: int) -> bool:
    """Wait for a process that is not ours; a killed one is not gone at once."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], PATIENCE)[0])
    finally:
        os.close(process)


def test_what_a_hook_leaves_running_is_not_waited_for(tmp_path: Path, runner: HookRunner):
    hook = script(tmp_path / "hook", f"setsid sleep 600 & echo $! > {tmp_path}/child")
    runner.add([HookCall("x", hook, (str(hook),), "")])
    try:
        assert runner.wait(PATIENCE)
    finally:
        os.kill(int((tmp_path / "child").read_text()), 9)


def test_a_failing_hook_is_logged_with_its_last_words(
    tmp_path: Path, runner: HookRunner, caplog: pytest.LogCaptureFixture
):
    hook = script(tmp_path / "hook", "echo 'no such\nthing' >&2; exit 3")
    runner.add([HookCall("/x/hook", hook, (str(hook),), "")])
    assert runner.wait(PATIENCE)
    assert "notification hook /x/hook failed with 3: no such thing" in caplog.text


@pytest.mark.parametrize("path", ["/nowhere/hook", "/etc", "/etc/passwd", "/a\0b"])
def test_a_hook_that_cannot_be_started_is_logged(
    path: str, runner: HookRunner, caplog: pytest.LogCaptureFixture
):
    runner.add([HookCall("x", Path(path), (path,), "")])
    assert runner.wait(PATIENCE)
    assert "cannot call the notification hook x" in caplog.text


def test_a_hook_that_reads_nothing_is_no_trouble(
    runner: HookRunner, caplog: pytest.LogCaptureFixture
):
    runner.add([HookCall("x", Path(os.path.realpath("/bin/true")), ("true",), "x" * 1_000_000)])
    assert runner.wait(PATIENCE)
    assert not caplog.records


def test_the_queue_is_bounded(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    os.mkfifo(tmp_path / "gate")
    hook = script(
        tmp_path / "hook",
        f"read x; test $x != 0 || read y < {tmp_path}/gate; echo $x >> {tmp_path}/got",
    )
    runner = HookRunner(os.environ, most_waiting=3)
    runner.add([HookCall("x", hook, (str(hook),), f"{number}\n") for number in range(10)])
    (tmp_path / "gate").write_text("go\n")
    assert runner.wait(PATIENCE)
    runner.close(0)
    assert (tmp_path / "got").read_text().split() == ["0", "1", "2"]
    assert "7 notifications were dropped" in caplog.text


def test_the_end_of_the_daemon_ends_hooks(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    os.mkfifo(tmp_path / "gate")
    hook = script(tmp_path / "hook", f"echo > {tmp_path}/gate; exec sleep 600")
    runner = HookRunner(os.environ)
    runner.add([HookCall("x", hook, (str(hook),), ""), HookCall("x", hook, (str(hook),), "")])
    (tmp_path / "gate").read_text()
    runner.close(0)
    assert "2 notifications are not delivered" in caplog.text
    assert not any(
        thread.is_alive()
        for thread in threading.enumerate()
        if thread.name == "hook" and not _has_ended(thread)
    )


def _has_ended(thread: threading.Thread) -> bool:
    thread.join(PATIENCE)
    return not thread.is_alive()


MODULE = """package xCAT_monitoring::watcher;
sub processTableChanges {
    my ($action, $table, $old, $new) = @_;
    open(my $out, '>', __FILE__ . '.got') or die;
    print $out join('|', $action, $table, map({ join(',', map { $_ // 'undef' } @$_) } @$old),
        map({ "$_=" . ($new->{$_} // 'undef') } sort keys %$new));
}
1;
"""


def test_a_perl_module_gets_what_xcat_gives_it(tmp_path: Path):
    if shutil.which("perl") is None:
        pytest.fail("perl is needed to test Perl modules; install it")
    (tmp_path / "watcher.pm").write_text(MODULE)
    change = RowChange(
        "u", "mac", ("node", "mac"), (("n1", None),), {"node": "n1", "mac": "a\"b'\nc"}
    )
    row = {"filename": f"{tmp_path}/watcher.pm", "tables": "mac", "tableops": "u", "disable": ""}
    runner = HookRunner(environment({}))
    runner.add(list(Hooks.of([row]).calls(change, "/nowhere")))
    assert runner.wait(PATIENCE)
    runner.close(0)
    assert (
        tmp_path / "watcher.pm.got"
    ).read_text() == "u|mac|node,mac|n1,undef|mac=a\"b'\nc|node=n1"


def test_without_perl_modules_are_mentioned_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.ERROR)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "m.pm").touch()
    runner = HookRunner(os.environ)
    call = HookCall("m.pm", tmp_path / "m.pm", ("perl", "-e", "1"), "{}")
    runner.add([call, call, call])
    assert runner.wait(PATIENCE)
    runner.close(0)
    assert caplog.text.count("there is no perl") == 1


@pytest.mark.parametrize("kind", ["file", "folder", "sticky", "link", "above"])
def test_what_others_could_change_is_not_called(
    kind: str, tmp_path: Path, runner: HookRunner, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "a/b").mkdir(parents=True)
    hook = script(tmp_path / "a/b/hook", f"touch {tmp_path}/got")
    called = hook
    match kind:
        case "file":
            hook.chmod(0o775)
        case "folder":
            hook.parent.chmod(0o777)
        case "sticky":  # the directory is safe, what somebody put there is not
            hook.parent.chmod(0o1777)
            os.chown(hook, 12345, -1)
        case "link":
            called = tmp_path / "a/link"
            called.symlink_to(hook)
            os.chown(called, 12345, -1, follow_symlinks=False)
        case "above":
            os.chown(tmp_path / "a", 12345, -1)
    runner.add([HookCall("/x/hook", called, (str(called),), "")])
    assert runner.wait(PATIENCE)
    assert not (tmp_path / "got").exists()
    assert "cannot call the notification hook /x/hook: cannot trust " in caplog.text


def test_a_sticky_directory_of_roots_and_roots_links_are_safe(tmp_path: Path, runner: HookRunner):
    (tmp_path / "sticky").mkdir()
    (tmp_path / "sticky").chmod(0o1777)
    hook = script(tmp_path / "sticky/hook", f"touch {tmp_path}/got")
    (tmp_path / "link").symlink_to(hook)
    runner.add([HookCall("x", tmp_path / "link", (str(tmp_path / "link"),), "")])
    assert runner.wait(PATIENCE)
    assert (tmp_path / "got").exists()


def test_a_file_is_looked_at_again_before_each_call(tmp_path: Path, runner: HookRunner):
    hook = script(tmp_path / "hook", f"echo called >> {tmp_path}/got")
    for _ in range(2):
        runner.add([HookCall("x", hook, (str(hook),), "")])
        assert runner.wait(PATIENCE)
        hook.chmod(0o777)
    assert (tmp_path / "got").read_text() == "called\n"


def test_a_module_is_not_loaded_beside_others_files(
    tmp_path: Path, runner: HookRunner, caplog: pytest.LogCaptureFixture
):
    library = tmp_path / "lib/perl"
    library.mkdir(parents=True)
    library.chmod(0o777)
    (tmp_path / "m.pm").touch()
    runner.add(
        [HookCall("/m.pm", tmp_path / "m.pm", ("perl", "-e", "exit 0"), "{}", library=library)]
    )
    assert runner.wait(PATIENCE)
    assert f"cannot trust {library}: others may write it" in caplog.text


def test_a_hook_finds_nothing_of_the_daemons_environment(tmp_path: Path):
    hook = script(tmp_path / "hook", f"/usr/bin/env > {tmp_path}/got")
    given = {"BASH_ENV": "/x", "PERL5OPT": "-Mx", "LD_PRELOAD": "", "XCATCFG": "y", "PATH": "/x"}
    runner = HookRunner(environment({**given, "XCATROOT": "/opt/x", "HOME": "/x"}))
    runner.add([HookCall("x", hook, (str(hook),), "")])
    assert runner.wait(PATIENCE)
    runner.close(0)
    found = dict(line.split("=", 1) for line in (tmp_path / "got").read_text().splitlines())
    assert found.keys() - {"PWD", "SHLVL", "_"} == {"PATH", "LC_ALL", "HOME", "XCATROOT", "XCATCFG"}
    assert found["PATH"] == "/usr/sbin:/usr/bin:/sbin:/bin:/opt/x/sbin:/opt/x/bin"
    assert found["HOME"] != "/x"


def test_a_hook_that_always_fails_is_a_line_a_minute(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    hook = script(tmp_path / "hook", "exit 1")
    now = [0.0]
    runner = HookRunner(os.environ, monotonic=lambda: now[0])
    runner.add([HookCall("/x/hook", hook, (str(hook),), "")] * 20)
    assert runner.wait(PATIENCE)
    now[0] = SILENCE
    runner.add([HookCall("/x/hook", hook, (str(hook),), "")])
    assert runner.wait(PATIENCE)
    runner.close(0)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert lines[1].endswith("(failed 19 more times before)")


def test_what_waits_can_be_forgotten(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    os.mkfifo(tmp_path / "gate")
    hook = script(tmp_path / "hook", f"read x < {tmp_path}/gate; echo called >> {tmp_path}/got")
    runner = HookRunner(os.environ)
    runner.add([HookCall("x", hook, (str(hook),), "")] * 5)
    gate = (tmp_path / "gate").open("w")  # opens when the first one reads
    runner.forget()
    gate.write("go\n")
    gate.close()
    assert runner.wait(PATIENCE)
    runner.close(0)
    assert (tmp_path / "got").read_text() == "called\n"
    assert not caplog.records
