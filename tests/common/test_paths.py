"""Paths with a scheme answer as those of the system do."""

from pathlib import Path

import pytest

from common.exclusive import locked
from common.files import atomic_writer, copy_atomically, write_atomically
from common.paths import RemotePath, is_remote, path_of, remove_tree


@pytest.fixture(params=["ram", "local"])
def folder(request, tmp_path):
    """The same folder on a file system of TensorFlow's and on the system's own."""
    yield (path_of(f"ram://{tmp_path.name}/folder") if request.param == "ram" else tmp_path / "folder")
    remove_tree(path_of(f"ram://{tmp_path.name}"))


@pytest.mark.parametrize("name", ["gs://bucket/a/b.txt", "s3://b/a", "hdfs://host:8020/a b/c", "ram://x"])
def test_a_scheme_stays_whole(name):
    path = path_of(name)
    assert is_remote(name)
    assert is_remote(path)
    assert str(path) == name
    assert str(path_of(path) / "c" / "..d") == f"{name}/c/..d"
    assert str((path / "c").parent) == name
    assert (path / "c.txt").name == "c.txt"
    assert str((path / "c.txt").with_name("d")) == f"{name}/d"
    assert path.resolve() == path.absolute() == path
    assert (path / "a" / "b").relative_to(path) == RemotePath("a/b")
    assert isinstance(path / "c", RemotePath)


@pytest.mark.parametrize("name", ["a/b", "/a", "C:/x", "a:b", "://x", "a//b"])
def test_a_local_path_is_one_of_the_system(name):
    assert not is_remote(name)
    assert type(path_of(name)) is type(Path(name))


def test_files_and_folders(folder):
    assert not folder.exists()
    assert not folder.is_dir()
    folder.mkdir(parents=True, exist_ok=True)
    folder.mkdir(exist_ok=True)
    with pytest.raises(FileExistsError):
        folder.mkdir()
    assert folder.is_dir()
    assert not folder.is_file()
    file = folder / "a.txt"
    assert not file.exists()
    with pytest.raises(FileNotFoundError):
        file.read_bytes()
    with pytest.raises(FileNotFoundError):
        file.unlink()
    file.unlink(missing_ok=True)
    file.write_text("één\ntwo\n", encoding="utf-8")
    assert file.is_file()
    assert not file.is_dir()
    assert file.stat().st_size == len("één\ntwo\n".encode())
    assert file.read_text(encoding="utf-8") == "één\ntwo\n"
    with file.open(encoding="utf-8") as lines:
        assert list(lines) == ["één\n", "two\n"]


def test_a_file_grows(folder):
    folder.mkdir(parents=True)
    file = folder / "a.txt"
    file.write_text("één\ntwo\n", encoding="utf-8")
    with file.open("ab+") as stream:
        stream.seek(-1, 2)
        assert stream.read() == b"\n"
        stream.write(b"three\n")
    with file.open("rb") as stream:
        assert stream.read(3) == "é".encode() + "é".encode()[:1]
        stream.seek(0)
        assert stream.read().endswith(b"two\nthree\n")


def test_folders(folder):
    folder.mkdir(parents=True)
    file = folder / "a.txt"
    file.write_text("a")
    assert [path.name for path in folder.iterdir()] == ["a.txt"]
    assert [path.name for path in folder.glob("*.txt")] == ["a.txt"]
    assert list(folder.glob("*.tsv")) == []
    file.replace(folder / "b.txt")
    assert not file.exists()
    (folder / "c").mkdir()
    (folder / "c" / "d.txt").write_text("d")
    assert sorted(path.name for path in folder.rglob("*.txt")) == ["b.txt", "d.txt"]
    with pytest.raises(OSError):
        folder.rmdir()
    remove_tree(folder)
    assert not (folder / "c" / "d.txt").exists()


def test_files_are_whole_or_absent(folder, tmp_path):
    write_atomically(folder / "a", "one")
    write_atomically(folder / "a", "two")
    assert (folder / "a").read_text() == "two"
    with pytest.raises(TypeError), atomic_writer(folder / "a") as stream:
        stream.write(3)
    assert (folder / "a").read_text() == "two"
    assert [path.name for path in folder.iterdir()] == ["a"]
    copy_atomically(folder / "a", tmp_path / "copy")
    copy_atomically(tmp_path / "copy", folder / "b")
    assert (folder / "b").read_text() == "two"


def test_a_remote_folder_has_no_lock(caplog, tmp_path):
    with locked(path_of(f"ram://{tmp_path.name}")):
        pass
    assert f"--output_dir=ram://{tmp_path.name}: cannot be locked there; let no other command" in caplog.text


def test_an_unknown_scheme_is_an_error_of_the_system():
    with pytest.raises(OSError, match="nosuch://x/y"):
        path_of("nosuch://x/y").exists()
