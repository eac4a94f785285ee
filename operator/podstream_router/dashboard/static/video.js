// Plays a session by WHEP (draft-ietf-wish-whep): the page is the session's one client while it looks.

export class Player {
  constructor(video) {
    this.video = video;
  }

  async play(path, bearer) {
    const peer = new RTCPeerConnection();
    this.peer = peer;
    peer.addTransceiver("video", {direction: "recvonly"});
    // The circle workload closes the session's data channel when it has scored enough.
    peer.createDataChannel("RTCchannel", {ordered: false, maxRetransmits: 0});
    peer.ontrack = ({track}) => { this.video.srcObject = new MediaStream([track]); };
    await peer.setLocalDescription(await peer.createOffer());
    const headers = {"Content-Type": "application/sdp"};
    if (bearer) headers.Authorization = `Bearer ${bearer}`;
    const answer = await fetch(path, {
      method: "POST", headers, body: peer.localDescription.sdp, credentials: "omit",
    });
    if (answer.status !== 201) {
      this.peer = undefined;
      peer.close();
      const {message} = await answer.json().catch(() => ({message: `the router answered ${answer.status}`}));
      throw new Error(message);
    }
    this.resource = new URL(answer.headers.get("Location"), location.origin).pathname;
    this.bearer = bearer;
    await peer.setRemoteDescription({type: "answer", sdp: await answer.text()});
    await this.video.play();
  }

  get playing() {
    return this.peer !== undefined;
  }

  // Gives the slot back. Also on leaving the page, where only `keepalive` requests are still sent.
  async stop() {
    const {peer, resource, bearer} = this;
    this.peer = this.resource = undefined;
    this.video.srcObject = null;
    peer?.close();
    if (resource) {
      const headers = bearer ? {Authorization: `Bearer ${bearer}`} : {};
      await fetch(resource, {method: "DELETE", headers, keepalive: true, credentials: "omit"}).catch(() => {});
    }
  }
}
