"""Files that kubectl wrote, and what else may be in their place."""

import json
import os
from io import BytesIO
from pathlib import Path

import pytest

from dora_metrics.sources.kubernetes.files import MAX_FILE_BYTES, MAX_OBJECTS, ClusterFile, read_file, read_stream
from dora_metrics.sources.kubernetes.read import read_cluster
from support.cluster import FluxKustomization, canary, git_repository, kubectl_list, read_objects
from support.facts import at


def read(content: bytes) -> ClusterFile:
    return read_stream("cluster.json", BytesIO(content))


class TestShapes:
    def test_a_list_of_kubectl(self) -> None:
        file = read(kubectl_list(canary("one", "03-05"), FluxKustomization().object))
        assert [(each.group, each.kind) for each in file.objects] == [
            ("flagger.app", "Canary"),
            ("kustomize.toolkit.fluxcd.io", "Kustomization"),
        ]

    def test_one_object(self) -> None:
        (only,) = read(json.dumps(canary("one", "03-05")).encode()).objects
        assert only.kind == "Canary"

    def test_a_page_of_the_api_names_the_kind_of_its_objects(self) -> None:
        made = canary("one", "03-05")
        del made["kind"], made["apiVersion"]
        page = {"apiVersion": "flagger.app/v1beta1", "kind": "CanaryList", "metadata": {}, "items": [made]}
        (only,) = read(json.dumps(page).encode()).objects
        assert (only.group, only.kind) == ("flagger.app", "Canary")

    @pytest.mark.parametrize(
        ("metadata", "is_cut"),
        [({}, False), ({"continue": ""}, False), ({"continue": "abc"}, True), ({"remainingItemCount": 3}, True)],
    )
    def test_a_page_may_be_cut_off(self, metadata: dict[str, object], is_cut: bool) -> None:  # noqa: FBT001
        assert read(kubectl_list(canary("one", "03-05"), **metadata)).is_cut is is_cut

    @pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf", b" \t\r\n"])
    def test_nothing_means_that_nobody_asked(self, content: bytes) -> None:
        assert read(content).is_empty

    @pytest.mark.parametrize("items", [b"[]", b"null"])
    def test_an_empty_list_is_an_answer(self, items: bytes) -> None:
        file = read(b'{"kind": "List", "apiVersion": "v1", "metadata": {}, "items": ' + items + b"}")
        assert (file.is_empty, file.objects, file.problem) == (False, [], "")

    def test_a_byte_order_mark_is_no_text(self) -> None:
        assert len(read(b"\xef\xbb\xbf" + kubectl_list(canary("one", "03-05"))).objects) == 1

    @pytest.mark.parametrize("metadata", [b"null", b'"x"', b'{"continue": 5}', b'{"remainingItemCount": "3"}'])
    def test_odd_metadata_of_a_list_are_no_reason_to_leave_it(self, metadata: bytes) -> None:
        file = read(b'{"kind": "List", "metadata": ' + metadata + b', "items": [{"kind": "Pod"}]}')
        assert [each.kind for each in file.objects] == ["Pod"]
        assert file.is_cut is (b":" in metadata)

    @pytest.mark.parametrize("odd", ["x", None, 5, [], {"kind": 5}, {"metadata": None}])
    def test_an_odd_item_is_set_aside(self, odd: object) -> None:
        content = json.dumps({"kind": "List", "items": [canary("one", "03-05"), odd]}).encode()
        reading = read_cluster(read(content).objects, at("12-31"), "https://github.com")
        assert [each.revision for each in reading.occurrences] == ["one"]
        assert reading.unknown_counts == {"no kind": 1}


class TestHalfCharacters:
    """An escape of one surrogate alone, or bytes that are not UTF-8, which no decoder takes."""

    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            (rb"a\ud800b", "a?b"),
            (rb"\udc00\ud800", "??"),
            (rb"\uD83D\uDE00", "\U0001f600"),
            (rb"\ud83d\ud83d\ude00", "?\U0001f600"),
            (b"caf\xe9", "caf\N{REPLACEMENT CHARACTER}"),
            (rb"\\ud800", r"\ud800"),
            (rb"\\\ud800", "\\?"),
        ],
    )
    def test_only_that_character_is_lost(self, written: bytes, expected: str) -> None:
        made = canary("one", "03-05")
        made["metadata"]["annotations"] = {"note": "NOTE"}
        content = kubectl_list(made, canary("two", "03-05")).replace(b"NOTE", written)
        reading = read_cluster(read(content).objects, at("12-31"), "https://github.com")
        assert not reading.unread
        assert [dict(each.annotations).get("note") for each in reading.occurrences] == [expected, None]


class TestProblems:
    @pytest.mark.parametrize(
        "content",
        [
            b"apiVersion: v1\nkind: List\n",
            b"NAME   READY\nshop   True\n",
            b"{",
            kubectl_list() + kubectl_list(),
            "{}".encode("utf-16"),
            b"\xff\xfe\x00",
            b"<html></html>",
        ],
    )
    def test_what_is_not_json(self, content: bytes) -> None:
        assert read(content).problem.startswith("not JSON")

    @pytest.mark.parametrize(
        "content", [b"[]", b"1", b"null", b'"text"', b'{"kind": 1}', b'{"kind": "List", "items": {}}']
    )
    def test_what_is_no_object_of_kubernetes(self, content: bytes) -> None:
        assert read(content).problem.startswith("not an object of Kubernetes")

    def test_an_error_of_the_api_server(self) -> None:
        error = {"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "secret"}
        problem = read(json.dumps(error).encode()).problem
        assert "an error of the API server (403 Forbidden)" in problem
        assert "secret" not in problem

    def test_deep_nesting(self) -> None:
        assert read(b'{"kind": "List", "items": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}").problem

    def test_a_file_that_is_too_large_is_not_read(self) -> None:
        class Endless(BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                assert size is not None
                assert 0 < size <= MAX_FILE_BYTES + 1
                return b" " * size

        assert read_stream("cluster.json", Endless()).problem.startswith("larger than 64,000,000 bytes")

    def test_a_stream_that_breaks(self) -> None:
        class Broken(BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                del size
                raise IsADirectoryError(21, "Is a directory")

        assert read_stream("cluster.json", Broken()).problem == "cannot be read (Is a directory)"

    def test_too_many_objects(self) -> None:
        content = b'{"kind": "List", "items": [' + b",".join([b"{}"] * (MAX_OBJECTS + 1)) + b"]}"
        assert read(content).problem.startswith("more than 20,000 objects")


class TestPlaces:
    def test_no_file_means_that_nobody_asked(self, tmp_path: Path) -> None:
        assert read_file("cluster.json", tmp_path / "cluster.json").is_empty

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        assert read_file("cluster", tmp_path).problem == "not a regular file"

    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        assert read_file("pipe", tmp_path / "pipe").problem == "not a regular file"

    def test_a_name_that_no_file_can_have(self, tmp_path: Path) -> None:
        assert read_file("a\0b", tmp_path / "a\0b").problem == "cannot be read (its name is not valid)"
        assert read_file("long", tmp_path / ("a" * 300)).problem == "cannot be read (File name too long)"


class TestObjects:
    def test_other_kinds_are_counted(self) -> None:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "b"}}
        file_of_kustomize = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
        reading = read_objects(pod, pod, file_of_kustomize, {"apiVersion": "v1"})
        assert reading.unknown_counts == {"Pod": 2, "Kustomization": 1, "no kind": 1}
        assert not reading.read_counts

    def test_an_object_of_another_shape_is_set_aside_and_named(self) -> None:
        broken = canary("one", "03-05T12:00")
        broken["status"]["conditions"][0]["lastTransitionTime"] = "2026-01-01T00:00:00"
        reading = read_objects(broken, canary("two", "03-05T12:00"))
        assert len(reading.occurrences) == 1
        (unread,) = reading.unread
        assert unread.startswith("Canary apps/shop: ")
        assert "lastTransitionTime" in unread

    @pytest.mark.parametrize(
        "metadata",
        [
            None,
            {},
            {"namespace": "shop"},
            {"name": "", "namespace": "apps"},
            {"name": "a" * 300, "namespace": "apps"},
            [],
        ],
    )
    def test_an_object_without_a_name_is_set_aside(self, metadata: object) -> None:
        reading = read_objects({**canary("one", "03-05T12:00"), "metadata": metadata})
        assert (len(reading.occurrences), len(reading.unread)) == (0, 1)
        assert len(reading.unread[0]) < 400

    def test_sources_are_read_whatever_the_order(self) -> None:
        shop = FluxKustomization()
        shop.reconcile("A", "03-05T12:00")
        source = git_repository("https://github.com/acme/config")
        for objects in ((shop.object, source), (source, shop.object)):
            (occurrence,) = read_objects(*objects, asked_at=at("12-31")).occurrences
            assert occurrence.source_repository == "acme/config"
