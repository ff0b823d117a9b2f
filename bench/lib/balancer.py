"""What HAProxy has of a client that says nothing: memory of its process, for one
connection passed on."""
import socket
import threading
import time

from peers import Haproxy, memory

WARM, MORE = 200, 2000


def accept_all(listening):
    ends = []
    while True:
        try:
            ends.append(listening.accept()[0])
        except OSError:
            break
    for end in ends:
        end.close()


def measure(world):
    """KB of each."""
    listening = socket.create_server(('127.0.0.1', 0), backlog=4096)
    thread = threading.Thread(target=accept_all, args=(listening,), daemon=True)
    thread.start()
    haproxy = world.start(Haproxy(listening.getsockname()[1]))
    ends, seen = [], []
    for upto in (WARM, WARM + MORE):
        while len(ends) < upto:
            end = socket.create_connection(('127.0.0.1', haproxy.port), 20)
            end.sendall(b'TRS1')  # so that its buffers were in use
            ends.append(end)
        time.sleep(1)
        seen.append(memory(haproxy.pid))
    for end in ends:
        end.close()
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    haproxy.stop()
    return (seen[1] - seen[0]) / MORE
