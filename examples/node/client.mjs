// A client of zcmdd in JavaScript for Node, with the package zeromq. How to run it: ../README.md

import { readFileSync } from "node:fs";
import { Dealer } from "zeromq";

// How long to wait for a message, in milliseconds. It is more than a command may take: one that is
// not streamed sends nothing until its end.
const PATIENCE_MS = 5000;

// An error that the daemon answers: a code for programs, a message for people, and for a command
// whether any of it ran.
class Refused extends Error {
  constructor({ code, message, executed }) {
    super(message);
    Object.assign(this, { code, executed });
  }
}

class Client {
  #lastId = 0;

  // `curve` has the daemon's public key, the own secret key and the own public key.
  constructor(server, token, curve) {
    this.token = token;
    // Not Request, which takes one reply to a request: a stream has many.
    // linger 0: at the end, do not wait for a daemon that is not there.
    this.socket = new Dealer({ linger: 0, receiveTimeout: PATIENCE_MS, ...curve });
    this.socket.connect(server);
  }

  // The last reply to a request. Ask one at a time: wait for a reply before the next request.
  async ask(commandType, fields, onOutput) {
    const id = ++this.#lastId;
    const request = { command_type: commandType, token: this.token, id, ...fields };
    await this.socket.send(JSON.stringify(request));
    for (;;) {
      const frames = await this.socket.receive().catch((error) => {
        if (error.code !== "EAGAIN") throw error;
        // No daemon, a wrong key, or a slow command: do not repeat it blindly.
        throw new Error("no answer in time; whether it was done is not known");
      });
      const reply = JSON.parse(frames.at(-1).toString());
      if (reply.id !== id) continue; // late: an earlier request was given up
      if (reply.status === "output") onOutput(output(reply, "data"));
      else if (reply.status === "error") throw new Refused(reply.error);
      else return reply;
    }
  }
}

// What a command wrote: bytes that are not UTF-8 come as base64.
function output(members, name) {
  return members[name] ?? Buffer.from(members[name + "_base64"], "base64");
}

function curveFromEnvironment() {
  const { ZCMD_SERVER_KEY, ZCMD_KEY_FILE } = process.env;
  if (!ZCMD_SERVER_KEY) return {};
  const [curveSecretKey, curvePublicKey] = readFileSync(ZCMD_KEY_FILE ?? "", "utf8").split("\n");
  return { curveServerKey: ZCMD_SERVER_KEY, curveSecretKey, curvePublicKey };
}

async function main() {
  const { ZCMD_SERVER = "tcp://127.0.0.1:5555", ZCMD_TOKEN_FILE } = process.env;
  const token = readFileSync(ZCMD_TOKEN_FILE ?? "", "utf8").trim();
  const client = new Client(ZCMD_SERVER, token, curveFromEnvironment());

  // Maths. The number in `result` is a double here, which has 53 bits: `text` has all digits.
  const value = await client.ask("compute", { expression: "3^50", text: true });
  console.log("3^50 =", value.text);

  // A command that ran, with success or not. One that a signal ended has `signal`.
  const { result } = await client.ask("os", { command_name: "check" });
  console.log("check: exit status", result.exit_code ?? result.signal);
  process.stdout.write(output(result, "stdout"));

  // A request that is refused, and a command that takes longer than it may.
  for (const fields of [
    { command_name: "reboot" },
    { command_name: "wait", parameters: ["30"], timeout_ms: 500 },
  ]) {
    try {
      await client.ask("os", fields);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const done = error.executed ? "started" : "not started";
      console.log(`${fields.command_name}: ${error.code}, ${done}`);
    }
  }

  // Output while the command runs.
  const write = (data) => process.stdout.write(data);
  await client.ask("os", { command_name: "steps", stream: true }, write);
}

main().catch((error) => {
  console.error(`client.mjs: ${error.message}`);
  process.exitCode = 1;
});
