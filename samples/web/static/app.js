"use strict";

async function showVersion() {
  const answer = await (await fetch("/api/version")).json();
  document.getElementById("node").textContent = answer.node;
  document.getElementById("version").textContent = answer.version;
}

function showEcho() {
  const socket = new WebSocket(`wss://${location.host}/ws`);
  socket.onopen = () => socket.send("hello");
  socket.onmessage = (event) => { document.getElementById("echo").textContent = event.data; };
}

showVersion();
showEcho();
