"use strict";

const { spawn } = require("node:child_process");
const { chmodSync, closeSync, constants: files, accessSync, openSync, readFileSync } = require("node:fs");
const { constants } = require("node:os");
const path = require("node:path");

// That with musl is linked statically, and runs where the other one does, too. An older npm installs both.
const packages = [`sorna-${process.platform}-${process.arch}-musl`, `sorna-${process.platform}-${process.arch}`];

/** The path of a program, or undefined if there is none for this system. */
function find(program) {
  for (const name of packages) {
    try {
      return path.join(path.dirname(require.resolve(`${name}/package.json`)), "bin", program);
    } catch (error) {
      if (error.code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  return undefined;
}

/** Some installers lose the permission to execute. */
function makeExecutable(file) {
  try {
    accessSync(file, files.X_OK);
  } catch {
    chmodSync(file, 0o755);
  }
}

/** Whether Ctrl-C at a terminal reaches this process, and then the program as well. */
function inForeground() {
  try {
    // After the name, which is in parentheses: state, parent, group, session, terminal, and the terminal's foreground group.
    const stat = readFileSync("/proc/self/stat", "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[2] === fields[5];
  } catch {
    return false;
  }
}

/** Lets go of the standard streams: who reads them to their end is to wait for the program alone, which may close its own before it ends. */
function closeStreams() {
  for (const stream of [0, 1, 2]) {
    closeSync(stream);
    // This gets the lowest number that is free.
    openSync("/dev/null", "r+");
  }
}

/** Starts the program as a child, passes signals on to it, and ends as it does. */
function startChild(file) {
  const child = spawn(file, process.argv.slice(2), { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGQUIT", "SIGHUP", "SIGTERM", "SIGUSR2"]) {
    process.on(signal, () => {
      // A terminal sends these to both. Twice, they would mean something else to the program.
      const fromTerminal = signal === "SIGINT" || signal === "SIGQUIT" || signal === "SIGHUP";
      if (!(fromTerminal && inForeground())) child.kill(signal);
    });
  }
  child.on("spawn", closeStreams);
  child.on("error", (error) => fail(`${file} cannot be started: ${error.message}`));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    // What did not end this process as it has ended the program.
    setImmediate(() => process.exit(128 + constants.signals[signal]));
  });
}

function fail(message) {
  console.error(`sorna: ${message}`);
  process.exit(1);
}

/** Runs a program of the package in place of this one. */
module.exports = function start(program) {
  const file = find(program);
  if (file === undefined) {
    fail(
      process.platform === "linux" && process.arch === "x64"
        ? `neither ${packages[1]} nor ${packages[0]} is installed. npm installs the one for your system with this package, unless it is to omit optional dependencies.`
        : `there are no programs for ${process.platform} on ${process.arch}: only Linux on x64 is supported.`,
    );
  }
  makeExecutable(file);
  // From Node.js 22.15 on, the program takes the place of this process, and nothing has to be passed on.
  if (typeof process.execve === "function") process.execve(file, [file, ...process.argv.slice(2)], process.env);
  startChild(file);
};
