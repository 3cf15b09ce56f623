"""A gRPC client and server from outside (grpcio), with the gateway between them.

Prints a line for each expectation: `ok NAME` or `not ok NAME: what was seen`. Messages are bare bytes, so that nothing has to be
generated; what they mean, the method says.
"""

import sys
import threading
import time
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

PATIENCE = 30
LARGE = 3 * 1024 * 1024
NAME = "bascule.test.Echo"
CANCELLED = threading.Event()


def unary(request, context):
    """Echoes with metadata; `fail N` is an error with that code, `slow` outlives any deadline."""
    context.send_initial_metadata([("x-start", "1")])
    context.set_trailing_metadata([("x-end", "2"), ("x-end-bin", b"\x00\xff")])
    if request.startswith(b"fail "):
        code = next(code for code in grpc.StatusCode if code.value[0] == int(request[5:]))
        context.abort(code, "as you wish: \u00e4")
    if request == b"metadata":
        return dict(context.invocation_metadata()).get("x-asked", "none").encode()
    if request == b"slow":
        context.add_callback(CANCELLED.set)
        CANCELLED.wait(PATIENCE)
    return request


def server_stream(request, context):
    for number in range(int(request)):
        yield str(number).encode()


def client_stream(requests, context):
    return str(sum(len(request) for request in requests)).encode()


def both(requests, context):
    for request in requests:
        if request == b"fail":
            context.abort(grpc.StatusCode.DATA_LOSS, "in the middle")
        yield request


def start(port):
    server = grpc.server(
        futures.ThreadPoolExecutor(32),
        options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)],
    )
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream),
        "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream),
        "Both": grpc.stream_stream_rpc_method_handler(both),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(NAME, handlers)])
    servicer = health.HealthServicer()
    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    servicer.set("ill", health_pb2.HealthCheckResponse.NOT_SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    assert server.add_insecure_port(f"127.0.0.1:{port}") == port, "the port is taken"
    server.start()
    return server


def same(seen, expected):
    assert seen == expected, f"{seen!r}"


def fails(call, code):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()} {error.details()}"
        return error
    raise AssertionError("it succeeds")


class Cases:
    def __init__(self, channel):
        self.channel = channel
        self.unary = channel.unary_unary(f"/{NAME}/Unary")
        self.server_stream = channel.unary_stream(f"/{NAME}/ServerStream")
        self.client_stream = channel.stream_unary(f"/{NAME}/ClientStream")
        self.both = channel.stream_stream(f"/{NAME}/Both")

    def a_unary_call(self):
        same(self.unary(b"hello", timeout=PATIENCE), b"hello")

    def an_empty_message(self):
        same(self.unary(b"", timeout=PATIENCE), b"")

    def a_large_message_each_way(self):
        message = b"x" * LARGE
        assert self.unary(message, timeout=PATIENCE) == message, "another message"

    def metadata_before_and_behind(self):
        call = self.unary.with_call(b"metadata", timeout=PATIENCE, metadata=[("x-asked", "yes")])
        same(call[0], b"yes")
        same(dict(call[1].initial_metadata()).get("x-start"), "1")
        same({key: value for key, value in call[1].trailing_metadata() if key.startswith("x-")}, {"x-end": "2", "x-end-bin": b"\x00\xff"})

    def each_error_with_its_message(self):
        for code in list(grpc.StatusCode)[1:]:
            error = fails(lambda: self.unary(b"fail %d" % code.value[0], timeout=PATIENCE), code)
            same(error.details(), "as you wish: \u00e4")

    def a_method_that_is_not_there(self):
        fails(lambda: self.channel.unary_unary(f"/{NAME}/Nothing")(b"", timeout=PATIENCE), grpc.StatusCode.UNIMPLEMENTED)

    def a_stream_from_the_server(self):
        same([int(number) for number in self.server_stream(b"1000", timeout=PATIENCE)], list(range(1000)))

    def an_empty_stream_from_the_server(self):
        same(list(self.server_stream(b"0", timeout=PATIENCE)), [])

    def a_stream_to_the_server(self):
        same(self.client_stream((b"x" * 1000 for _ in range(1000)), timeout=PATIENCE), b"1000000")

    def an_empty_stream_to_the_server(self):
        same(self.client_stream(iter([]), timeout=PATIENCE), b"0")

    def a_stream_each_way_turn_by_turn(self):
        """Each message is sent when the answer to the one before is there, so nothing may wait for more."""
        answered = threading.Semaphore(1)

        def requests():
            for number in range(50):
                assert answered.acquire(timeout=PATIENCE)
                yield str(number).encode()

        seen = []
        for answer in self.both(requests(), timeout=PATIENCE):
            seen.append(int(answer))
            answered.release()
        same(seen, list(range(50)))

    def an_error_in_the_middle_of_a_stream(self):
        answers = self.both(iter([b"a", b"fail"]), timeout=PATIENCE)
        same(next(answers), b"a")
        fails(lambda: next(answers), grpc.StatusCode.DATA_LOSS)

    def a_deadline(self):
        CANCELLED.clear()
        fails(lambda: self.unary(b"slow", timeout=0.5), grpc.StatusCode.DEADLINE_EXCEEDED)
        assert CANCELLED.wait(PATIENCE), "the server does not learn of it"

    def a_call_that_the_client_gives_up(self):
        CANCELLED.clear()
        call = self.unary.future(b"slow", timeout=PATIENCE)
        time.sleep(0.2)
        call.cancel()
        assert CANCELLED.wait(PATIENCE), "the server does not learn of it"

    def many_calls_at_once(self):
        calls = [self.unary.future(str(number).encode(), timeout=PATIENCE) for number in range(300)]
        same([int(call.result()) for call in calls], list(range(300)))

    def a_health_check(self):
        check = health_pb2_grpc.HealthStub(self.channel).Check
        same(check(health_pb2.HealthCheckRequest(), timeout=PATIENCE).status, 1)
        same(check(health_pb2.HealthCheckRequest(service="ill"), timeout=PATIENCE).status, 2)
        fails(lambda: check(health_pb2.HealthCheckRequest(service="none"), timeout=PATIENCE), grpc.StatusCode.NOT_FOUND)

    def a_health_watch(self):
        watch = health_pb2_grpc.HealthStub(self.channel).Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        same(next(watch).status, 1)
        watch.cancel()


def play(channel, how):
    cases = Cases(channel)
    for name in [name for name in vars(Cases) if not name.startswith("_")]:
        shown = f"{name.replace('_', ' ')} {how}"
        try:
            getattr(cases, name)()
            print(f"ok {shown}", flush=True)
        except Exception as error:  # whatever it is, the expectation is not met
            print(f"not ok {shown}: {type(error).__name__} {error}".replace("\n", " "), flush=True)


def main(node, plain, tls, certificate):
    server = start(node)
    print("ready", flush=True)
    sys.stdin.readline()
    options = [("grpc.max_receive_message_length", -1)]
    play(grpc.insecure_channel(f"127.0.0.1:{plain}", options), "in the clear")
    with open(certificate, "rb") as roots:
        credentials = grpc.ssl_channel_credentials(roots.read())
    play(grpc.secure_channel(f"localhost:{tls}", credentials, options), "under TLS")
    server.stop(None)


main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
