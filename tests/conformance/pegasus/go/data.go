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

var hashKey, manyKey = []byte("h"), []byte("multi")

// keys turns texts into sort keys.
func keys(words ...string) [][]byte {
	made := make([][]byte, len(words))
	for i, word := range words {
		made[i] = []byte(word)
	}
	return made
}

// text is a value as it is told: nothing for one that is missing.
func text(value []byte, err error) (interface{}, error) {
	if err != nil || value == nil {
		return nil, err
	}
	return string(value), nil
}

// rows tells what a multi_get found, and whether that was all.
func rows(found []*pegasus.KeyValue, all bool, err error) (interface{}, error) {
	if err != nil {
		return nil, err
	}
	pairs := make([]string, len(found))
	for i, row := range found {
		pairs[i] = string(row.SortKey) + "=" + string(row.Value)
	}
	return told{"kvs": pairs, "all": all}, nil
}

func (d *driver) setting(name, sortKey, value string) {
	done(name, func(ctx context.Context) error { return d.table.Set(ctx, hashKey, []byte(sortKey), []byte(value)) })
}

func (d *driver) getting(name, sortKey string) {
	step(name, usual, func(ctx context.Context) (interface{}, error) {
		return text(d.table.Get(ctx, hashKey, []byte(sortKey)))
	})
}

func (d *driver) deleting(name, sortKey string) {
	done(name, func(ctx context.Context) error { return d.table.Del(ctx, hashKey, []byte(sortKey)) })
}

// living tells the seconds that a key has to live; a lot of them only as right or wrong.
func (d *driver) living(name, sortKey string, most int) {
	step(name, usual, func(ctx context.Context) (interface{}, error) {
		seconds, err := d.table.TTL(ctx, hashKey, []byte(sortKey))
		if most > 0 {
			return seconds == most || seconds == most-1, err
		}
		return seconds, err
	})
}

// singles is all that is done with one key.
func (d *driver) singles() {
	d.setting("set", "a", "1")
	d.getting("get", "a")
	d.getting("get missing", "none")
	d.setting("set empty sort key, empty value", "", "")
	d.getting("get empty value", "")
	odd, odder := []byte{0, 0xff}, []byte{1, 0xfe}
	done("set binary", func(ctx context.Context) error { return d.table.Set(ctx, odd, odder, []byte{0, 1, 2}) })
	step("get binary", usual, func(ctx context.Context) (interface{}, error) {
		value, err := d.table.Get(ctx, odd, odder)
		return fmt.Sprintf("%x", value), err
	})
	done("empty hash key", func(ctx context.Context) error { return d.table.Set(ctx, []byte{}, []byte("a"), []byte("1")) })
	done("set with ttl", func(ctx context.Context) error {
		return d.table.SetTTL(ctx, hashKey, []byte("t"), []byte("1"), 100*time.Second)
	})
	d.living("ttl", "t", 100)
	d.living("ttl without expiry", "a", 0)
	d.living("ttl missing", "none", 0)
	step("set again clears the ttl", usual, func(ctx context.Context) (interface{}, error) {
		if err := d.table.Set(ctx, hashKey, []byte("t"), []byte("1")); err != nil {
			return nil, err
		}
		return d.table.TTL(ctx, hashKey, []byte("t"))
	})
	step("ttl runs out", usual, func(ctx context.Context) (interface{}, error) {
		if err := d.table.SetTTL(ctx, hashKey, []byte("gone"), []byte("1"), time.Second); err != nil {
			return nil, err
		}
		time.Sleep(2100 * time.Millisecond)
		return text(d.table.Get(ctx, hashKey, []byte("gone")))
	})
	d.existing("exist", "a")
	d.existing("exist missing", "none")
	d.deleting("del", "t")
	d.deleting("del again", "t")
	step("value over 1 MiB", short, func(ctx context.Context) (interface{}, error) {
		return nil, d.table.Set(ctx, hashKey, []byte("big"), make([]byte, 1<<20))
	})
	done("value just under 1 MiB", func(ctx context.Context) error {
		return d.table.Set(ctx, hashKey, []byte("big"), make([]byte, 1<<20-200))
	})
	d.deleting("del it", "big")
}

func (d *driver) existing(name, sortKey string) {
	step(name, usual, func(ctx context.Context) (interface{}, error) {
		return d.table.Exist(ctx, hashKey, []byte(sortKey))
	})
}

// many is all that is done with the keys of one hash key.
func (d *driver) many() {
	done("multi_set", func(ctx context.Context) error {
		return d.table.MultiSet(ctx, manyKey, keys("a", "ab", "b", "c", "d"), keys("1", "2", "3", "4", "5"))
	})
	done("multi_set with ttl", func(ctx context.Context) error {
		return d.table.MultiSetOpt(ctx, manyKey, keys("e"), keys("6"), 100*time.Second)
	})
	get := func(name string, hash []byte, change func(*pegasus.MultiGetOptions), sortKeys ...string) {
		step(name, usual, func(ctx context.Context) (interface{}, error) {
			if change == nil {
				return rows(d.table.MultiGet(ctx, hash, keys(sortKeys...)))
			}
			options := *pegasus.DefaultMultiGetOptions
			change(&options)
			return rows(d.table.MultiGetOpt(ctx, hash, keys(sortKeys...), &options))
		})
	}
	get("multi_get all", manyKey, nil)
	get("multi_get some, reversed, one missing", manyKey, nil, "c", "none", "a")
	get("multi_get max count", manyKey, func(o *pegasus.MultiGetOptions) { o.MaxFetchCount = 2 })
	get("multi_get no value", manyKey, func(o *pegasus.MultiGetOptions) { o.NoValue = true })
	get("multi_get prefix filter", manyKey, func(o *pegasus.MultiGetOptions) {
		o.SortKeyFilter = pegasus.Filter{Type: pegasus.FilterTypeMatchPrefix, Pattern: []byte("a")}
	})
	between := func(name, from, to string, change func(*pegasus.MultiGetOptions)) {
		step(name, usual, func(ctx context.Context) (interface{}, error) {
			options := *pegasus.DefaultMultiGetOptions
			change(&options)
			return rows(d.table.MultiGetRangeOpt(ctx, manyKey, []byte(from), []byte(to), &options))
		})
	}
	between("multi_get reverse, max count", "", "", func(o *pegasus.MultiGetOptions) { o.Reverse, o.MaxFetchCount = true, 2 })
	between("multi_get range", "ab", "d", func(*pegasus.MultiGetOptions) {})
	between("multi_get range, exclusive start, inclusive stop", "ab", "d", func(o *pegasus.MultiGetOptions) {
		o.StartInclusive, o.StopInclusive = false, true
	})
	get("multi_get missing hash key", []byte("none"), nil)
	count := func(name string, hash []byte) {
		step(name, usual, func(ctx context.Context) (interface{}, error) { return d.table.SortKeyCount(ctx, hash) })
	}
	count("sortkey_count", manyKey)
	count("sortkey_count missing", []byte("none"))
	done("multi_del", func(ctx context.Context) error { return d.table.MultiDel(ctx, manyKey, keys("e", "none")) })
	count("sortkey_count after", manyKey)
	step("batch_get", usual, func(ctx context.Context) (interface{}, error) {
		wanted := []pegasus.CompositeKey{{HashKey: hashKey, SortKey: []byte("a")}}
		for _, sortKey := range keys("b", "none") {
			wanted = append(wanted, pegasus.CompositeKey{HashKey: manyKey, SortKey: sortKey})
		}
		values, err := d.table.BatchGet(ctx, wanted)
		return fmt.Sprintf("%s", values), err
	})
}
