# A relay that speaks TLS to who connects and plain TCP to the other side: CERTIFICATE, HOST:PORT. Prints its port.
import select, socket, ssl, sys, threading

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
host, port = sys.argv[2].split(":")


def relay(client):
    try:
        with context.wrap_socket(client, server_side=True) as near, socket.create_connection((host, port)) as far:
            while True:
                ready = [near] if near.pending() else select.select([near, far], [], [])[0]
                for side in ready:
                    data = side.recv(65536)
                    if not data:
                        return
                    (far if side is near else near).sendall(data)
    except OSError:
        pass  # Who does not trust the certificate ends the connection.


server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
while True:
    threading.Thread(target=relay, args=(server.accept()[0],), daemon=True).start()
