// Copyright: (c) 2026, polystore.storage contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Drives Apache Pegasus's official Go client.
//
//	driver METAS steps [TABLE]             runs every call, one JSON line a step; the table is made, and dropped at the end
//	driver METAS fill TABLE                writes rows that somebody else is to read
//	driver METAS dump TABLE                prints every row of a table, with its seconds to live
//	driver METAS bench TABLE COUNT WORKERS sets and then gets as many keys, and prints the seconds that each took
//
// METAS: host:port, separated by commas.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/apache/incubator-pegasus/go-client/pegalog"
	"github.com/apache/incubator-pegasus/go-client/pegasus"
	"github.com/apache/incubator-pegasus/go-client/session"
)

// What a step may take. The client casts nanoseconds to 32 bits, so a server is told 2.8 seconds of these.
const usual = 20 * time.Second

// What a call may take that the client repeats until its time is over: it does so after errors that it takes for passing.
const short = 500 * time.Millisecond

type told = map[string]interface{}

type call func(context.Context) (interface{}, error)

type silent struct{ pegalog.Logger }

func (silent) Print(...interface{})          {}
func (silent) Printf(string, ...interface{}) {}

// driver is what all steps share.
type driver struct {
	metas []string
	name  string
	admin *session.MetaManager
	table pegasus.TableConnector
}

// tell prints one line.
func tell(line told) {
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	if err := out.Encode(line); err != nil {
		panic(err)
	}
}

// step does one call and tells its outcome; errors without the partition and the connection that they name.
func step(name string, limit time.Duration, do call) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if out, err := do(ctx); err != nil {
		tell(told{"step": name, "err": strings.SplitN(err.Error(), " [", 2)[0]})
	} else {
		tell(told{"step": name, "ok": out})
	}
}

// done is a step without an answer.
func done(name string, do func(context.Context) error) {
	step(name, usual, func(ctx context.Context) (interface{}, error) { return nil, do(ctx) })
}

// open connects to the table, or ends the program.
func (d *driver) open() {
	ctx, cancel := context.WithTimeout(context.Background(), usual)
	defer cancel()
	table, err := pegasus.NewClient(pegasus.Config{MetaServers: d.metas}).OpenTable(ctx, d.name)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	d.table = table
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: driver METAS steps|fill|dump|bench [TABLE ...]")
		os.Exit(2)
	}
	pegalog.SetLogger(silent{pegalog.StderrLogger})
	d := &driver{metas: strings.Split(os.Args[1], ","), name: "conformance"}
	if len(os.Args) > 3 {
		d.name = os.Args[3]
	}
	switch os.Args[2] {
	case "steps":
		d.admin = session.NewMetaManager(d.metas, session.NewNodeSession)
		d.tables()
		d.singles()
		d.many()
		d.atomics()
		d.scans()
		d.drops()
		tell(told{"step": "done"})
	case "fill":
		d.open()
		d.fill()
	case "dump":
		d.open()
		d.dump()
	case "bench":
		d.open()
		d.bench(os.Args[4], os.Args[5])
	default:
		fmt.Fprintln(os.Stderr, "there is no", os.Args[2])
		os.Exit(2)
	}
	os.Exit(0) // closing would wait for connections
}
