"""A provider that Terraform starts, with the google provider's schema: enough to validate, and to test with mocks.

It speaks version 6 of the protocol of Terraform's plugins. Its few messages are written here, field by field, after
`tfplugin6.proto`. Run with the kinds of resources as arguments.
"""

import sys
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import grpc

from support.google_provider import Attribute, Block, configuration_schema, resource_schema

_NESTING_LIST = 2
_METHODS_WITHOUT_ANSWER = ("ValidateProviderConfig", "ValidateResourceConfig", "StopProvider")


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def _bytes_field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number_field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _attribute_message(name: str, attribute: Attribute) -> bytes:
    """`Schema.Attribute`: 1 name, 2 type, 4 required, 5 optional, 6 computed."""
    is_optional = not attribute.is_required
    flags = (4, attribute.is_required), (5, is_optional), (6, is_optional)
    texts = _bytes_field(1, name.encode()) + _bytes_field(2, attribute.type.encode())
    return texts + b"".join(_number_field(number, flag) for number, flag in flags)


def _nested_block_message(name: str, block: Block) -> bytes:
    """`Schema.NestedBlock`: 1 name, 2 block, 3 nesting, 4 least and 5 greatest number of blocks (0: any)."""
    numbers = (3, _NESTING_LIST), (4, block.is_required), (5, block.is_single)
    content = _bytes_field(1, name.encode()) + _bytes_field(2, _block_message(block))
    return content + b"".join(_number_field(number, value) for number, value in numbers)


def _block_message(block: Block) -> bytes:
    """`Schema.Block`: 2 attributes, 3 blocks."""
    attributes = (_bytes_field(2, _attribute_message(name, each)) for name, each in block.attributes.items())
    blocks = (_bytes_field(3, _nested_block_message(name, each)) for name, each in block.blocks.items())
    return b"".join((*attributes, *blocks))


def _schema_message(block: Block) -> bytes:
    """`Schema`: 2 block."""
    return _bytes_field(2, _block_message(block))


def schema_answer(configuration: Block, resources: Mapping[str, Block]) -> bytes:
    """`GetProviderSchema.Response`: 1 what configures the provider, 2 resources by name."""
    entries = (
        _bytes_field(2, _bytes_field(1, name.encode()) + _bytes_field(2, _schema_message(block)))
        for name, block in resources.items()
    )
    return _bytes_field(1, _schema_message(configuration)) + b"".join(entries)


def serve(schema: bytes) -> None:
    """Answer Terraform until it says that it needs no more."""
    is_over = Event()
    answers = dict.fromkeys(_METHODS_WITHOUT_ANSWER, b"") | {"GetProviderSchema": schema}
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    server.add_generic_rpc_handlers((_provider_service(answers), _controller_service(is_over)))
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "provider"
        server.add_insecure_port(f"unix:{socket}")
        server.start()
        sys.stdout.write(f"1|6|unix|{socket}|grpc\n")
        sys.stdout.flush()
        is_over.wait()
        server.stop(grace=1).wait()


def _provider_service(answers: Mapping[str, bytes]) -> grpc.GenericRpcHandler:
    def handler(answer: bytes) -> "grpc.RpcMethodHandler[bytes, bytes]":
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: answer)

    methods = {name: handler(answer) for name, answer in answers.items()}
    return grpc.method_handlers_generic_handler("tfplugin6.Provider", methods)


def _controller_service(is_over: Event) -> grpc.GenericRpcHandler:
    def shut_down(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        is_over.set()
        return b""

    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(shut_down)
    return grpc.method_handlers_generic_handler("plugin.GRPCController", {"Shutdown": handler})


def main(names: Iterable[str]) -> None:
    serve(schema_answer(configuration_schema(), {name: resource_schema(name) for name in names}))


if __name__ == "__main__":
    main(sys.argv[1:])
