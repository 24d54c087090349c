"""Whether ports are free, by listening on them."""

import errno
import socket


def name_of(error):
    return errno.errorcode.get(error.errno or 0, str(error))


def listen(ip, ports):
    """A socket for every port that is free; what kept the others."""
    open_sockets, states = [], {}
    for port in ports:
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((ip, port))
            server.listen(64)
        except OSError as error:
            states[str(port)] = "taken" if error.errno == errno.EADDRINUSE else name_of(error)
            server.close()
        else:
            states[str(port)] = "listening"
            open_sockets.append(server)
    return open_sockets, states
