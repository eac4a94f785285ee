"""STUN messages as ICE agents send them, made with aioice."""

from aioice import stun


def binding_request(ufrag: str, *, remote: str = "cli1") -> bytes:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{ufrag}:{remote}"
    message.attributes["PRIORITY"] = 1
    message.add_message_integrity(b"password")
    return bytes(message)


def binding_success(request: bytes) -> bytes:
    message = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=request[8:20])
    message.add_message_integrity(b"password")
    return bytes(message)


def binding_error(request: bytes, code: int) -> bytes:
    message = stun.Message(stun.Method.BINDING, stun.Class.ERROR, transaction_id=request[8:20])
    message.attributes["ERROR-CODE"] = (code, "no")
    message.add_fingerprint()
    return bytes(message)


def indication() -> bytes:
    return bytes(stun.Message(stun.Method.BINDING, stun.Class.INDICATION))
