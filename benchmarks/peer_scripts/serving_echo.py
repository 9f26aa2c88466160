"""Sends back what it gets, as plain ASGI on uvicorn with the settings of our server: PORT."""

import sys

import uvicorn


async def echo(scope, receive, send):
    """Answers a request with its own body."""
    if scope["type"] != "http":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    fields = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


uvicorn.run(
    echo, host="127.0.0.1", port=int(sys.argv[1]), log_level="critical", access_log=False, http="httptools",
    loop="uvloop", ws="none", server_header=False, proxy_headers=False, interface="asgi3",
)  # fmt: skip
