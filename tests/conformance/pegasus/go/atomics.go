// Copyright: (c) 2026, polystore.storage contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/apache/incubator-pegasus/go-client/pegasus"
)

var casKey = []byte("cas")

// check is one check_and_set of the key k (or another one), with what it is set to.
type check struct {
	name        string
	kind        pegasus.CheckType
	operand, to string
	sortKey     string
	impossible  bool
}

var checks = []check{
	{name: "not_exist", kind: pegasus.CheckTypeValueNotExist, to: "v1"},
	{name: "not_exist again", kind: pegasus.CheckTypeValueNotExist, to: "v2"},
	{name: "exist", kind: pegasus.CheckTypeValueExist, to: "v3"},
	{name: "exist missing", kind: pegasus.CheckTypeValueExist, to: "v", sortKey: "k0"},
	{name: "not_empty", kind: pegasus.CheckTypeValueNotEmpty, to: "v4"},
	{name: "match anywhere", kind: pegasus.CheckTypeMatchAnywhere, operand: "4", to: "v5"},
	{name: "match prefix", kind: pegasus.CheckTypeMatchPrefix, operand: "v", to: "v6"},
	{name: "match postfix, no", kind: pegasus.CheckTypeMatchPostfix, operand: "v", to: "v7"},
	{name: "bytes equal", kind: pegasus.CheckTypeBytesEqual, operand: "v6", to: "8"},
	{name: "bytes less, no", kind: pegasus.CheckTypeBytesLess, operand: "7", to: "x"},
	{name: "int equal", kind: pegasus.CheckTypeIntEqual, operand: "8", to: "9"},
	{name: "int less or equal", kind: pegasus.CheckTypeIntLessOrEqual, operand: "10", to: "10"},
	{name: "int against a word", kind: pegasus.CheckTypeIntEqual, operand: "word", to: "11", impossible: true},
	{name: "no check", kind: pegasus.CheckTypeNoCheck, to: "12"},
}

// outcome tells all of a check_and_set's answer.
func outcome(answer *pegasus.CheckAndSetResult, err error) (interface{}, error) {
	if err != nil {
		return nil, err
	}
	before := fmt.Sprintf("returned=%v exist=%v value=%s", answer.CheckValueReturned, answer.CheckValueExist, answer.CheckValue)
	return fmt.Sprintf("set=%v %s", answer.SetSucceed, before), nil
}

// atomics is what reads and writes at once.
func (d *driver) atomics() {
	adding := func(name string, limit time.Duration, sortKey string, amount int64) {
		step(name, limit, func(ctx context.Context) (interface{}, error) {
			if sortKey == "word" {
				if err := d.table.Set(ctx, hashKey, []byte(sortKey), []byte("abc")); err != nil {
					return nil, err
				}
			}
			return d.table.Incr(ctx, hashKey, []byte(sortKey), amount)
		})
	}
	adding("incr from nothing", usual, "n", 5)
	adding("incr down", usual, "n", -7)
	d.getting("incr leaves text", "n")
	adding("incr not a number", short, "word", 1)
	for _, one := range checks {
		one, sortKey, limit := one, []byte("k"), usual
		if one.sortKey != "" {
			sortKey = []byte(one.sortKey)
		}
		if one.impossible {
			limit = short
		}
		step("check_and_set "+one.name, limit, func(ctx context.Context) (interface{}, error) {
			options := &pegasus.CheckAndSetOptions{ReturnCheckValue: true}
			return outcome(d.table.CheckAndSet(ctx, casKey, sortKey, one.kind, []byte(one.operand), sortKey, []byte(one.to), options))
		})
	}
	step("check_and_set another sort key", usual, func(ctx context.Context) (interface{}, error) {
		equal := pegasus.CheckTypeBytesEqual
		return outcome(d.table.CheckAndSet(ctx, casKey, []byte("k"), equal, []byte("12"), []byte("k2"), []byte("other"), nil))
	})
	step("check_and_set, both", usual, func(ctx context.Context) (interface{}, error) {
		return rows(d.table.MultiGet(ctx, casKey, nil))
	})
}
