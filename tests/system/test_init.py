"""touchmark init: the key ceremony, judged by OpenSSL, which knows nothing of us."""
import os
import pathlib
import stat
import subprocess

import pytest

import place


def openssl(*words, ok=True):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True)
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def made():
    with place.work_folder() as work:
        yield work / "place", place.init(work / "place", "--organization", "Acme", "--operator", "ada")


@pytest.fixture
def work():
    with place.work_folder() as folder:
        yield folder


def text_of(certificate):
    return openssl("x509", "-in", certificate, "-noout", "-text")


@pytest.mark.parametrize("name", ["devices", "operators", "doors"])
def test_issuing_certificates_verify_under_the_root(made, name):
    folder, _ = made
    ca = folder / "ca"
    openssl("verify", "-x509_strict", "-CAfile", ca / "root.pem", ca / f"{name}.pem")
    text = text_of(ca / f"{name}.pem")
    assert "CA:TRUE, pathlen:0" in text
    assert "Certificate Sign, CRL Sign" in text


def test_first_operators_certificate_verifies_and_belongs_to_its_key(made):
    folder, told = made
    certificate, key = folder / "operator/ada.pem", folder / "operator/ada.key"
    openssl("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", folder / "ca/root.pem",
            "-untrusted", folder / "ca/operators.pem", certificate)
    assert openssl("x509", "-in", certificate, "-noout", "-pubkey") == openssl("pkey", "-in", key, "-pubout")
    assert "URI:urn:touchmark:operator:ada" in text_of(certificate)
    assert told["operator"] == "ada"


def test_an_issuing_key_is_not_taken_for_another(made):
    folder, _ = made
    openssl("verify", "-CAfile", folder / "ca/root.pem", "-untrusted", folder / "ca/devices.pem",
            folder / "operator/ada.pem", ok=False)


def test_root_signed_the_rules_and_any_changed_bit_shows(made, tmp_path):
    folder, _ = made
    keys, public = folder / "keys", tmp_path / "root.pub"
    public.write_text(openssl("x509", "-in", folder / "ca/root.pem", "-noout", "-pubkey"))
    judge = ["dgst", "-sha256", "-verify", public, "-signature", keys / "rules.sig"]
    openssl(*judge, keys / "rules")
    altered = bytearray((keys / "rules").read_bytes())
    altered[len(altered) // 2] ^= 1
    (tmp_path / "rules").write_bytes(altered)
    openssl(*judge, tmp_path / "rules", ok=False)


def test_secrets_are_their_owners_alone(made):
    folder, _ = made
    for name in ("secrets", "root", "signer/journal", "hsm/issuing/tokens", "authority/registry", "authority/backups",
                 "authority/recover", "device-door/spool", "device-door/journal", "operator-door/spool"):
        assert stat.S_IMODE(os.stat(folder / name).st_mode) == 0o700, name
    assert stat.S_IMODE(os.stat(folder / "tiles").st_mode) == (0o750 if place.is_root() else 0o700)
    for name in ("secrets/issuing.pin", "root/pin", "root/so-pin", "operator/ada.key"):
        assert stat.S_IMODE(os.stat(folder / name).st_mode) == 0o600, name
    pin = (folder / "secrets/issuing.pin").read_bytes()
    public = [path for path in folder.rglob("*") if path.is_file() and "secrets" not in path.parts]
    assert public and not any(pin in path.read_bytes() for path in public)


@pytest.mark.skipif(not place.is_root(), reason="only root gives files away")
def test_each_process_owns_its_folders_and_no_other(made):
    folder, _ = made
    owners = {"signer/journal": "signer", "hsm/issuing": "signer", "authority/registry": "authority",
              "authority/recover": "authority", "tiles": "authority", "device-door/spool": "device-door",
              "device-door/journal": "device-door", "operator-door/spool": "operator-door"}
    for name, process in owners.items():
        assert os.stat(folder / name).st_uid == place.USERS[process], name
    assert os.stat(folder / "tiles").st_gid == place.USERS["operator-door"]
    for path in folder.rglob("*"):
        if path.relative_to(folder).parts[0] in ("ca", "keys", "policy", "operator", "secrets", "root"):
            assert os.stat(path).st_uid == 0, path


@pytest.mark.skipif(not place.is_root(), reason="without root all processes have one user")
@pytest.mark.parametrize("change, status, told", [
    ({"authority": "61001"}, 3, "one user"),
    ({"operator-door": "0"}, 3, "never root"),
    ({"device-door": "no-such-user"}, 4, "no such user"),
    ({"authority": None}, 7, "--authority-user"),
])
def test_processes_do_not_share_a_user(tmp_path, change, status, told):
    users = {**place.USERS, **change}
    words = [str(word) for name, user in users.items() if user for word in (f"--{name}-user", user)]
    done = place.touchmark("init", tmp_path / "new", *words, check=False)
    assert done.returncode == status and told in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("token", ["hsm/issuing/tokens", "root/tokens"])
def test_a_login_cannot_write_to_the_token(made, token):
    """SoftHSM truncates token.object at each login: killed just then, it would lose the keys."""
    objects = list((made[0] / token).glob("*/*.object"))
    assert objects and {stat.S_IMODE(path.stat().st_mode) for path in objects} == {0o400}


def test_two_places_share_no_secret(made, tmp_path):
    folder, told = made
    other = place.init(tmp_path / "other")
    assert other["root_sha256"] != told["root_sha256"]
    for name in ("secrets/issuing.pin", "root/pin"):
        assert (tmp_path / "other" / name).read_bytes() != (folder / name).read_bytes()


def test_the_first_signature_is_in_the_signers_journal(made):
    folder, _ = made
    assert any(path.stat().st_size > 200 for path in (folder / "signer/journal").glob("*.segment"))


def test_what_exists_is_refused_and_untouched(made):
    folder, _ = made
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    done = place.touchmark("init", folder, *place.users(), check=False)
    assert done.returncode == 5 and "exists" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize("words, status, told", [
    (["--organization", ""], 7, "organization"),
    (["--organization", "x" * 41], 7, "organization"),
    (["--origin", "has space"], 7, "origin"),
    (["--operator", "a/b"], 7, "--operator"),
    (["--hosts", "localhost,,"], 7, "empty host"),
    (["--hosts", "UPPER.example"], 7, "doors"),
    (["--module", "/nonexistent.so"], None, "nonexistent"),
    (["--under", "--chain", "x"], 7, "--under"),
])
def test_a_refusal_leaves_nothing_behind(tmp_path, words, status, told):
    done = place.touchmark("init", tmp_path / "new", *place.users(), *words, check=False)
    assert done.returncode == status or (status is None and done.returncode != 0), done.stderr
    assert told in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_is_told_and_not_guessed_about(tmp_path):
    (tmp_path / "new.partial").mkdir()
    done = place.touchmark("init", tmp_path / "new", *place.users(), check=False)
    assert done.returncode == 5 and "interrupted" in done.stderr


def sign_as_foreign_root(folder, work, extensions="basicConstraints=critical,CA:TRUE,pathlen:0\n"
                                                  "keyUsage=critical,keyCertSign,cRLSign\n"
                                                  "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"):
    """A customer's root, made and used with nothing but OpenSSL."""
    key, root, chain = work / "their.key", work / "their.pem", work / "chain.pem"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes",
            "-keyout", key, "-out", root, "-subj", "/CN=Customer Root", "-days", "7000")
    (work / "ext").write_text(extensions)
    parts = [root.read_text()]
    for name in ("devices", "operators", "doors"):
        openssl("req", "-in", folder / f"csr/{name}.pem", "-verify", "-noout")
        signed = work / f"{name}.pem"
        openssl("x509", "-req", "-in", folder / f"csr/{name}.pem", "-CA", root, "-CAkey", key,
                "-CAcreateserial", "-out", signed, "-days", "3650", "-sha256", "-extfile", work / "ext")
        parts.insert(0, signed.read_text())
    chain.write_text("".join(parts))
    return root, chain


def test_our_cas_stand_under_a_customers_root(work):
    folder = work / "place"
    assert place.init(folder, "--under")["state"] == "requests"
    assert not (folder / "touchmark.conf").exists()
    root, chain = sign_as_foreign_root(folder, work)
    assert place.init(folder, "--chain", chain)["state"] == "complete"
    openssl("verify", "-CAfile", root, "-untrusted", folder / "ca/operators.pem", folder / "operator/admin.pem")
    place.add_settings(folder)
    with place.Supervisor(folder):
        pass


@pytest.mark.parametrize("extensions, told", [
    ("basicConstraints=critical,CA:FALSE\n", "basicConstraints"),
    ("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,digitalSignature\n", "key usage"),
])
def test_a_chain_that_makes_no_cas_is_refused(tmp_path, extensions, told):
    folder = tmp_path / "place"
    place.init(folder, "--under")
    _, chain = sign_as_foreign_root(folder, tmp_path, extensions)
    user = [*place.users()] if place.is_root() else []
    done = place.touchmark("init", folder, "--chain", chain, *place.users(), check=False)
    assert done.returncode == 3 and told in done.stderr
    assert not (folder / "touchmark.conf").exists()


def test_a_chain_for_other_keys_is_refused(tmp_path):
    place.init(tmp_path / "one", "--under")
    place.init(tmp_path / "two", "--under")
    _, chain = sign_as_foreign_root(tmp_path / "one", tmp_path)
    user = [*place.users()] if place.is_root() else []
    done = place.touchmark("init", tmp_path / "two", "--chain", chain, *place.users(), check=False)
    assert done.returncode == 4 and "devices" in done.stderr


def test_manual_page_is_one_that_man_reads():
    page = place.touchmark("manual").stdout
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww"], input=page, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "" and "touchmark init" in done.stdout


@pytest.mark.parametrize("typed, offered", [
    ("in", "init"),
    ("device a", "add"),
    ("device add --gr", "--group"),
    ("device list --pro", "--profile"),
    ("support", "support-bundle"),
])
def test_completion_completes(typed, offered):
    script = place.touchmark("completion").stdout
    words = ["touchmark", *typed.split()]
    ask = f'COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}; _touchmark; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-euc", script + ask], capture_output=True, text=True)
    assert done.stdout.strip() == offered, done.stderr


@pytest.mark.parametrize("hosts, server", [
    ("localhost,127.0.0.1", "https://127.0.0.1:"),
    ("localhost,iot.acme.example", "https://localhost:"),
    (".acme.example,10.0.0.0/8,::1", "https://[::1]:"),
])
def test_the_operators_profile_names_the_door_as_its_certificate_will(tmp_path, hosts, server):
    place.init(tmp_path / "t", "--hosts", hosts)
    assert f"server = {server}" in (tmp_path / "t/operator/operator.conf").read_text()
