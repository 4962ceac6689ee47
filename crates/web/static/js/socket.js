// The live connection: one socket that comes back by itself. Knows the envelope of messages and no single message.

import { address } from "./api.js";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
const PING_EVERY = 25_000;
const SILENCE_IS_DEATH = 60_000;

/**
 * Connects, subscribes to `channels`, and hands every message to `onMessage`. `onState` hears `connecting`, `live` and
 * `waiting`. Each new connection begins with a snapshot from the server, so nothing that happened meanwhile is missed.
 */
export class LiveSocket {
  #channels;
  #onMessage;
  #onState;
  #socket = null;
  #wait = FIRST_WAIT;
  #retry = 0;
  #heardAt = 0;

  constructor(channels, { onMessage, onState }) {
    this.#channels = channels;
    this.#onMessage = onMessage;
    this.#onState = onState;
    setInterval(() => this.#keepAlive(), PING_EVERY);
    // Back from sleep or from a lost network: a person is looking, so there is nothing to wait for.
    window.addEventListener("online", () => this.connectNow());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.connectNow();
    });
  }

  /** Connects at once, if there is no connection. */
  connectNow() {
    if (this.#socket !== null && this.#socket.readyState <= WebSocket.OPEN) return;
    clearTimeout(this.#retry);
    this.#onState("connecting");
    const url = address("ws");
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.hash = "";
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.addEventListener("open", () => this.#send({ type: "subscribe", channels: this.#channels }));
    socket.addEventListener("message", (event) => this.#receive(event.data));
    socket.addEventListener("close", () => {
      if (socket === this.#socket) this.#comeBackLater();
    });
  }

  #receive(text) {
    this.#heardAt = Date.now();
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (message.type === "subscribed") {
      this.#wait = FIRST_WAIT;
      this.#onState("live");
    }
    this.#onMessage(message);
  }

  /** Waits longer each time, never the same for two pages, so that a restarted server is not met by all at once. */
  #comeBackLater() {
    this.#onState("waiting");
    const wait = this.#wait * (0.75 + Math.random() / 2);
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
    this.#retry = setTimeout(() => this.connectNow(), wait);
  }

  /** A dead network path reports nothing; only an answer proves that the other side is there. */
  #keepAlive() {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    if (Date.now() - this.#heardAt > SILENCE_IS_DEATH) {
      const dead = this.#socket;
      this.#socket = null;
      dead.close();
      this.#comeBackLater();
      return;
    }
    this.#send({ type: "ping" });
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }
}
