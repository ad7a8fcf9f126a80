// Binary messages are input and output; see bridge.rs for the text ones.
"use strict";
const terminal = new Terminal({ cursorBlink: true });
const fit = new FitAddon.FitAddon();
terminal.loadAddon(fit);
terminal.open(document.getElementById("terminal"));
terminal.focus();

const address = new URL("terminal", location.href);
address.protocol = address.protocol.replace("http", "ws");
const socket = new WebSocket(address);
socket.binaryType = "arraybuffer";

const opened = new Promise((open) => socket.addEventListener("open", open));

// What is typed before the connection is there waits for it.
const send = async (message) => {
  await opened;
  socket.send(message);
};
const sendSize = () => send(`size ${terminal.rows} ${terminal.cols}`);
const encoder = new TextEncoder();

fit.fit();
sendSize();
terminal.onResize(sendSize);
terminal.onData((typed) => send(encoder.encode(typed)));
terminal.onBinary((bytes) => send(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0))));
socket.addEventListener("message", ({ data }) => {
  terminal.write(new Uint8Array(data), () => send("shown"));
});
socket.addEventListener("close", () => terminal.write("\r\n[closed]\r\n"));
addEventListener("resize", () => fit.fit());
