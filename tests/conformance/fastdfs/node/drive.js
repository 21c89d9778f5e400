// Copyright: (c) 2026, polystore.storage contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// What npm's "fdfs" sees of a FastDFS: NODE_PATH=.../node_modules node drive.js TRACKER[,TRACKER...]
// One line a step: {"step": NAME, "ok": ANSWER} or {"step": NAME, "err": MESSAGE}; an answer that is none is null, an
// id is told by what is not drawn by lot.

'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const FdfsClient = require('fdfs');

const LARGE = 3 << 20;
const PIECE = 'fastdfs';
const TABLE = new Uint32Array(256).map((_, byte) => {
  let entry = byte;
  for (let bit = 0; bit < 8; bit += 1) {
    entry = entry & 1 ? (entry >>> 1) ^ 0xedb88320 : entry >>> 1;
  }
  return entry;
});

function crc32(data) {
  let sum = ~0;
  for (const byte of data) {
    sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  }
  return ~sum >>> 0;
}

// Some fields of rows, under other names, by the one that names a row.
function byName(rows, name, fields) {
  const some = (row) => Object.fromEntries(Object.entries(fields).map(([shown, field]) => [shown, row[field]]));
  return Object.fromEntries(rows.map((row) => [row[name], some(row)]));
}

class Drive {
  constructor(trackers, folder) {
    this.client = new FdfsClient({ trackers, timeout: 10000, logger: { log() {} } });
    this.file = path.join(folder, 'content.bin');
  }

  async tell(step, call, show = (answer) => (answer === undefined ? null : answer)) {
    const line = { step };
    let answer;
    try {
      answer = await call(this.client);
      line.ok = show(answer);
    } catch (error) {
      line.err = String(error.message || error);
    }
    console.log(JSON.stringify(line));
    return answer;
  }

  upload(step, from, options) {
    return this.tell(step, (client) => client.upload(from, options), (id) => {
      const name = id.indexOf('/') + 1;
      return { head: id.slice(0, name + 3), tail: id.slice(name + 37).replace(/^\d+/, 'N'), len: id.length };
    });
  }

  // With what it has: a change of what is there already, by a method of upload's.
  change(step, text, options) {
    return this.tell(step, (client) => client.upload(Buffer.from(text), options));
  }

  download(step, id, range) {
    return this.tell(step, async (client) => {
      await client.download(id, { target: this.file, ...range });
      const data = fs.readFileSync(this.file);
      return { len: data.length, crc32: crc32(data) };
    });
  }

  about(step, id) {
    const shown = (info) => ({ size: info.size, crc32: info.crc32 >>> 0, addr: info.addr });
    return this.tell(step, (client) => client.getFileInfo(id), shown);
  }

  async normal() {
    const id = await this.upload('upload bytes', Buffer.from('hello fastdfs\n'), { ext: 'txt' });
    await this.about('file info', id);
    await this.download('download', id);
    await this.download('download range', id, { offset: 6, bytes: 7 });
    await this.tell('metadata overwrite', (client) => client.setMetaData(id, { b: '2', a: '1', ä: 'ö' }, 'O'));
    await this.tell('metadata', (client) => client.getMetaData(id));
    await this.tell('metadata merge', (client) => client.setMetaData(id, { a: '9', c: '3' }, 'M'));
    await this.tell('metadata merged', (client) => client.getMetaData(id));
    return id;
  }

  async large() {
    fs.writeFileSync(this.file, Buffer.alloc(LARGE, PIECE));
    const id = await this.upload('upload 3 MiB file', this.file);
    await this.download('download 3 MiB file', id);
    return id;
  }

  async appender() {
    const id = await this.upload('upload appender', Buffer.from('0123456789'), { method: 'uploadAppender', ext: 'log' });
    await this.change('append', 'abcdef', { method: 'append', fileId: id });
    await this.download('append, whole', id);
    await this.change('modify', 'XYZ', { method: 'modify', fileId: id, offset: 8 });
    await this.download('modify, whole', id);
    await this.change('modify past the end', 'XYZ', { method: 'modify', fileId: id, offset: 100 });
    return id;
  }

  async all() {
    await this.tell('list groups', (client) => client.listGroups(), ({ groups }) => byName(groups, 'groupName', {
      active: 'activeCount',
      paths: 'storePathCount',
      port: 'storagePort',
      storages: 'storageCount',
      trunk: 'currentTrunkFileId',
    }));
    await this.tell('list storages', (client) => client.listStorages('group1'), ({ storages }) => byName(storages, 'ipAddr', {
      port: 'storagePort',
      status: 'status',
      version: 'version',
    }));
    const normal = await this.normal();
    const large = await this.large();
    const appender = await this.appender();
    for (const id of [appender, large, normal]) {
      await this.tell('delete', (client) => client.del(id));
    }
    await this.tell('delete again', (client) => client.del(normal));
    await this.download('download deleted', normal);
    await this.about('file info deleted', normal);
    console.log('{"step":"done"}');
  }
}

async function main() {
  const trackers = process.argv[2].split(',').map((text) => {
    const [host, port] = text.split(':');
    return { host, port: Number(port) };
  });
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'drive-'));
  try {
    await new Drive(trackers, folder).all();
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
  process.exit(0); // the client's pool would keep it
}

main();
