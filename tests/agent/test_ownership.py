"""What somebody else could change is not trusted: at start, at each reload, for each script."""

from __future__ import annotations

import json
import os
import stat

import pytest

from xcat_aix_agent import config, ownership
from xcat_aix_agent import main as program
from xcat_aix_agent.ownership import OwnershipError, check_directory, check_file
from xcat_aix_agent.serving import rights
from xcat_aix_agent.tls import TlsError

XCATINFO = {"kind": "client.xcatinfo@1", "args": {"server": "10.0.0.1"}}
POSTSCRIPTS = "client.postscripts@2"


@pytest.fixture
def give_away(monkeypatch):
    """Make a path somebody else's; who is not root cannot, so there root alone is trusted instead."""

    def give(path):
        if os.geteuid() == 0:
            os.chown(path, 65534, -1, follow_symlinks=False)
        else:
            monkeypatch.setattr(ownership, "_trusted", lambda: frozenset({0}))

    return give


def refusal(check, path, **options) -> str:
    with pytest.raises(OwnershipError) as caught:
        check(path, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_what_is_ours_is_trusted(tmp_path):
    file = tmp_path / "file"
    file.touch(0o600)
    check_file(file, secret=True)
    check_directory(tmp_path)
    check_file(tmp_path / "none")
    check_directory(tmp_path / "none" / "deeper")


@pytest.mark.parametrize(
    ("mode", "who"), [(0o620, "its group"), (0o602, "everybody"), (0o666, "its group")]
)
def test_writable_files_are_not(tmp_path, mode, who, monkeypatch):
    monkeypatch.setattr(ownership, "_is_private", lambda _state: False)
    file = tmp_path / "file"
    file.touch()
    file.chmod(mode)
    text = refusal(check_file, file)
    assert f"cannot trust {file}: {who} may write to it (mode {mode:04o})" in text
    assert f"chmod go-w {file}" in text


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_secrets_are_for_nobody_else_to_read(tmp_path, mode):
    file = tmp_path / "key"
    file.touch()
    file.chmod(mode)
    check_file(file)
    assert f"run chmod 600 {file}" in refusal(check_file, file, secret=True)


def test_what_belongs_to_somebody_else_is_not(tmp_path, give_away):
    file = tmp_path / "file"
    file.touch(0o600)
    give_away(file)
    text = refusal(check_file, file)
    assert "it belongs to" in text
    assert "chown root" in text


@pytest.mark.parametrize("mode", [0o777, 0o773])
def test_every_directory_on_the_way_counts(tmp_path, mode):
    place = tmp_path / "open" / "inner"
    place.mkdir(parents=True)
    file = place / "file"
    file.touch(0o600)
    check_file(file)
    place.parent.chmod(mode)
    text = refusal(check_file, file)
    assert f"cannot trust {place.parent}: " in text
    assert str(place.parent) in refusal(check_file, place / "none")
    assert str(place.parent) in refusal(check_directory, place)


def test_sticky_directory_of_root_is_safe_to_pass_and_no_place_for_jobs(tmp_path, monkeypatch):
    state = (tmp_path / "..").stat()
    sticky = os.stat_result((0o41777, *state[1:4], 0, 0, *state[6:10]))
    ownership._check_place(tmp_path, sticky)
    with pytest.raises(OwnershipError):
        ownership._check_writers(tmp_path, sticky)
    plain = os.stat_result((0o40777, *sticky[1:10]))
    with pytest.raises(OwnershipError):
        ownership._check_place(tmp_path, plain)


@pytest.mark.parametrize(
    ("user", "group", "members", "is_private"),
    [
        ("ann", "ann", [], True),
        ("ann", "ann", ["ann"], True),
        ("ann", "ann", ["bob"], False),
        ("ann", "staff", [], False),
    ],
)
def test_group_of_one_user_is_as_good_as_none(monkeypatch, user, group, members, is_private):
    from types import SimpleNamespace as Record

    owner = Record(pw_name=user, pw_gid=4711)
    monkeypatch.setattr(ownership.pwd, "getpwuid", lambda _uid: owner)
    found = Record(gr_name=group, gr_mem=members)
    monkeypatch.setattr(ownership.grp, "getgrgid", lambda _gid: found)
    state = os.stat_result((0o100664, 1, 1, 1, 4711, 4711, 0, 0, 0, 0))
    assert ownership._is_private(state) is is_private
    roots = os.stat_result((0o100664, 1, 1, 1, 0, 4711, 0, 0, 0, 0))
    assert not ownership._is_private(roots)


def test_links_lead_to_what_counts(tmp_path, give_away):
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    (real / "file").touch(0o600)
    link.symlink_to("real")
    (tmp_path / "up").symlink_to("../" + tmp_path.name + "/link/file")
    (tmp_path / "round").symlink_to("round")
    check_file(link / "file")
    check_file(tmp_path / "up")
    assert "too many links" in refusal(check_file, tmp_path / "round")
    real.chmod(0o777)
    for path in (link / "file", tmp_path / "up", link / ".." / "real" / "file"):
        assert f"cannot trust {real}:" in refusal(check_file, path)
    real.chmod(0o700)
    give_away(link)
    assert "it belongs to" in refusal(check_file, link / "file")


def test_kinds_are_not_mixed_up(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "no regular file" in refusal(check_file, tmp_path / "pipe")
    assert "no regular file" in refusal(check_file, tmp_path)
    (tmp_path / "file").touch(0o600)
    assert "no directory" in refusal(check_directory, tmp_path / "file")


# What the agent does with it.


def test_settings(site, tmp_path):
    from .test_process import write_settings

    settings = write_settings(site)
    settings.chmod(0o646)
    with pytest.raises(config.ConfigError, match="everybody may write to it"):
        config.load(settings)


@pytest.mark.parametrize("what", ["policy", "certificate", "ca", "crl", "jobs", "log", "root"])
def test_start_is_refused_with_one_line(site, capsys, what):
    from .test_process import write_settings

    crl, log = site.path / "crl.pem", site.path / "agent.log"
    site.ca.revoke(crl)
    log.touch()
    changes = {"log": log} if what == "log" else {}
    settings = write_settings(site, crl=crl, **changes)
    path = getattr(config.load(settings), what)
    path.mkdir(parents=True, exist_ok=True) if what == "jobs" else None
    path.chmod(path.stat().st_mode | 0o002)
    assert program.main(["serve", "--config", str(settings)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"cannot trust {path}: " in error
    assert "chmod" in error


def test_readable_key_is_refused_at_start(site, capsys):
    from .test_process import write_settings

    settings = write_settings(site)
    path = config.load(settings).certificate
    path.chmod(0o640)
    assert program.main(["serve", "--config", str(settings)]) == 1
    assert f"chmod 600 {path}" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["certificate", "ca", "crl"])
def test_files_are_looked_at_again_when_they_are_read_again(site, commands, what):
    crl = site.path / "crl.pem"
    site.ca.revoke(crl)
    server = site.start(site.config(crl=crl), commands=commands, runner="inline")
    site.greeted(server)
    path = getattr(server.config, what)
    mode = path.stat().st_mode
    path.chmod(0o666)
    with pytest.raises((OSError, EOFError)):
        site.connect(server).hello()
    with pytest.raises(TlsError, match="cannot trust"):
        server._contexts.get()
    path.chmod(mode)
    site.greeted(server)


def test_policy_that_others_may_write_allows_nobody(site, commands, caplog):
    server = site.start(site.config(), commands=commands, runner="inline")
    client = site.greeted(server)
    site.policy.chmod(0o666)  # its content and time are what they were
    assert client.call("jobs")["error"]["code"] == 202
    assert f"cannot trust {site.policy}" in caplog.text
    with pytest.raises(rights.PolicyError, match="chmod go-w"):
        rights.load(site.policy)
    site.policy.chmod(0o644)
    assert "ok" in client.call("jobs")


# Jobs.


def planted(site, **fields):
    """A job that nobody submitted, as an older agent would have obeyed it."""
    evil = site.path / "evil" / "xcatpost"
    evil.mkdir(parents=True)
    script = evil / "script"
    script.write_text(f"#!/bin/sh\ntouch {site.path / 'ran'}\n")
    script.chmod(0o755)
    directory = site.path / "jobs" / "sn1" / "j"
    directory.mkdir(parents=True, mode=0o700)
    directory.parent.chmod(0o700)
    args = {"scripts": ["script"], "master": "10.0.0.1", "node": "sn1"}
    spec = {
        "job_id": "j",
        "operation": {"kind": POSTSCRIPTS, "args": args},
        "limit": 10.0**8,
        "by": "xcat-aix:mn:mn1",
        "accepted": "2026-11-01T00:00:00.000Z",
        "node": "sn1",
        "root": str(evil.parent),
        "path": str(evil),
        "postscripts": "/xcatpost",
        "max_log": 1000,
        **fields,
    }
    (directory / "spec.json").write_text(json.dumps(spec))
    return directory


@pytest.mark.parametrize("what", ["directory", "spec"])
def test_planted_job_is_not_run_and_the_agent_does_not_start(site, give_away, what):
    directory = planted(site)
    give_away(directory if what == "directory" else directory / "spec.json")
    with pytest.raises(Exception, match=r"cannot trust .*belongs to"):
        site.start(site.config())
    assert not (directory / "started").exists()


def test_job_that_others_could_have_changed_is_not_run_either(site):
    directory = planted(site)
    (directory / "spec.json").chmod(0o666)
    with pytest.raises(Exception, match=r"spec\.json: .*or remove the job"):
        site.start(site.config())
    assert not (directory / "started").exists()


def test_root_path_and_postscripts_of_a_job_are_those_of_the_settings(site, until):
    """A job of an older agent that was accepted and not begun is done, but where the settings say."""
    directory = planted(site)
    client = site.greeted(site.start(site.config()))
    until(lambda: client.call("follow", "j", 0, 1)["ok"]["status"]["state"] == "exited")
    status = client.call("follow", "j", 0, 0)["ok"]["status"]
    assert "script: cannot find" in status["outcome"]["error"]["message"]
    assert (directory / "rc").exists()
    assert not (site.path / "ran").exists()


def test_job_with_the_name_of_another_is_left_alone_and_told(site, caplog, error):
    directory = planted(site, job_id="k")
    client = site.greeted(site.start(site.config()))
    assert "jobs/sn1/j/spec.json is of the job k; remove the directory" in caplog.text
    assert client.call("jobs") == {"ok": []}
    assert "is of the job k" in error(client.call("follow", "j", 0, 0))[1]
    assert not (directory / "started").exists()


# A directory that is opened up while the agent runs: what is begun is looked at again, right before.


@pytest.fixture
def opened(site, until):
    """A running agent whose jobs directory everybody may write to from now on."""
    client = site.greeted(site.start(site.config()))
    assert "ok" in client.call("submit", "first", XCATINFO, 30)
    until(lambda: client.call("follow", "first", 0, 1)["ok"]["status"]["state"] == "exited")
    (site.path / "jobs/sn1").chmod(0o777)
    return client


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770])
def test_nothing_is_accepted_in_a_directory_that_was_opened(site, opened, error, mode):
    (site.path / "jobs/sn1").chmod(mode)
    for name in ("j", "k"):
        code, text = error(opened.call("submit", name, XCATINFO, 30))
        assert code == 501
        assert f"cannot trust {site.path}/jobs/sn1: " in text
    assert [entry.name for entry in (site.path / "jobs/sn1").iterdir()] == ["first"]
    (site.path / "jobs/sn1").chmod(0o700)
    assert "ok" in opened.call("submit", "j", XCATINFO, 30)


@pytest.mark.parametrize("what", ["directory", "spec"])
def test_a_job_of_somebody_else_is_not_begun_by_a_submit(site, opened, give_away, error, what):
    directory = planted(site)
    (site.path / "jobs/sn1").chmod(0o700)
    give_away(directory if what == "directory" else directory / "spec.json")
    args = {"scripts": ["script"], "master": "10.0.0.1", "node": "sn1"}
    _, text = error(opened.call("submit", "j", {"kind": POSTSCRIPTS, "args": args}, 30))
    assert "belongs to" in text
    assert not (directory / "started").exists()


@pytest.mark.parametrize("spoil", ["jobs", "directory", "spec"])
def test_the_wrapper_looks_itself(site, capfd, spoil):
    """Between the agent's look and the wrapper's there is time enough."""
    from xcat_aix_agent import runjob
    from xcat_aix_agent.jobs.runners import place_of
    from xcat_aix_proto import codec

    config = site.config(postscripts="/xcatpost")
    directory = planted(site)
    place = {"jobs": directory.parent, "directory": directory, "spec": directory / "spec.json"}
    place[spoil].chmod(place[spoil].stat().st_mode | 0o022)
    assert runjob.main(str(directory), json.dumps(codec.to_wire(place_of(config)))) == 1
    assert f"cannot trust {place[spoil]}: " in capfd.readouterr().err
    assert not (directory / "started").exists()


def test_directories_made_for_the_jobs_are_nobody_elses_whatever_the_mask_is(site):
    config = site.config(jobs=site.path / "a/b/c")
    old = os.umask(0)
    try:
        site.start(config)
    finally:
        os.umask(old)
    modes = {stat.S_IMODE((site.path / place).stat().st_mode) for place in ("a", "a/b", "a/b/c")}
    assert modes == {0o700}


def test_where_commands_are_looked_for_is_checked(site):
    place = site.path / "bin"
    place.mkdir()
    config = site.config(path=f"{place}:/nosuch:{os.environ['PATH']}")
    site.start(config).stop()
    for mode in (0o757, 0o775, 0o1777):
        place.chmod(mode)
        with pytest.raises(OwnershipError, match=f"cannot trust {place}: .* may write to it"):
            site.start(config)


def test_a_systems_own_user_may_own_its_commands_and_nothing_else(tmp_path, monkeypatch):
    """On AIX /usr and /usr/bin belong to bin."""
    monkeypatch.setattr(ownership, "_trusted", frozenset)
    own = frozenset({0, os.geteuid()})
    ownership.check_directory(tmp_path, owners=own)
    with pytest.raises(OwnershipError, match="belongs to"):
        ownership.check_directory(tmp_path)
    assert all(isinstance(user, int) for user in ownership.system_users())


# Postscripts.


def run_script(site, until, name="script", **change):
    client = site.greeted(site.start(site.config()))
    args = {"scripts": [name], "master": "10.0.0.1", "node": "sn1", **change}
    client.call("submit", "p", {"kind": POSTSCRIPTS, "args": args}, 30)
    until(lambda: client.call("follow", "p", 0, 1)["ok"]["status"]["state"] == "exited")
    update = client.call("follow", "p", 0, 0)["ok"]
    error = update["status"]["outcome"]["error"]
    return (error or {}).get("message", ""), [event["text"] for event in update["events"]]


@pytest.fixture
def script(site):
    site.config()
    path = site.path / "roots/sn1/xcatpost/script"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\necho ran\nenv\n")
    path.chmod(0o755)
    return path


def test_script_finds_its_variables_and_nothing_else(site, script, until, monkeypatch):
    for name in ("BASH_ENV", "PERL5OPT", "LIBPATH", "LD_PRELOAD_", "IFS_"):
        monkeypatch.setenv(name, "/tmp/evil")
    error, said = run_script(site, until, site_master="mn")
    assert not error
    variables = {line.partition(": ")[2].partition("=")[0] for line in said if "=" in line}
    # A shell adds its own.
    assert variables - {"PWD", "SHLVL", "_", "OLDPWD"} == {
        "PATH",
        "LC_ALL",
        "LANG",
        "MASTER",
        "NODE",
        "SITEMASTER",
    }
    assert "script: PWD=/" in said


@pytest.mark.parametrize("spoil", ["writable", "open directory", "somebody else's", "linked out"])
def test_script_that_others_have_a_hand_in_is_not_run(site, script, until, give_away, spoil):
    if spoil == "writable":
        script.chmod(0o757)
    elif spoil == "open directory":
        script.parent.chmod(0o757)
    elif spoil == "somebody else's":
        give_away(script)
    else:
        real = site.path / "elsewhere"
        script.rename(real)
        script.symlink_to(real)
    if spoil in ("open directory", "somebody else's"):
        text = refused_script(site)
    else:
        text, said = run_script(site, until)
        assert "script: ran" not in said
    assert "script: cannot trust" in text


def refused_script(site):
    """Without a process of its own, in which nothing is replaced for the test."""
    from xcat_aix_agent import operations
    from xcat_aix_agent.host import Host
    from xcat_aix_agent.shell import Subprocesses
    from xcat_aix_proto.errors import AgentError
    from xcat_aix_proto.operations import RunPostscripts

    config = site.config()
    host = Host("sn1", Subprocesses(config.path), config.root)
    with pytest.raises(AgentError) as caught:
        operations.run(RunPostscripts(("script",), "10.0.0.1", "sn1"), host, lambda _text: None)
    return caught.value.message


def test_link_within_the_directory_is_a_script(site, script, until):
    script.rename(script.with_name("real"))
    script.symlink_to("real")
    assert run_script(site, until)[0] == ""


# What the agent makes is for nobody else; what it starts makes what it always made.


def test_modes(site, script, until):
    made = site.path / "made"
    script.write_text(f"#!/bin/sh\necho x > {made}\n")
    old = os.umask(0)
    try:
        assert run_script(site, until)[0] == ""
    finally:
        os.umask(old)
    assert stat.S_IMODE(made.stat().st_mode) == 0o644
    directory = site.path / "jobs/sn1/p"
    modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in directory.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_nothing_is_written_through_a_link(tmp_path):
    from xcat_aix_agent import files

    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("kept")
    link.symlink_to(target)
    with pytest.raises(FileExistsError):
        files.write(link, "x", 0o600, sync=False)
    files.replace(link, "new", sync=False, mode=0o600)
    assert (target.read_text(), link.read_text(), link.is_symlink()) == ("kept", "new", False)
