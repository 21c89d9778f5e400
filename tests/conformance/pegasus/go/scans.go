// Copyright: (c) 2026, polystore.storage contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/apache/incubator-pegasus/go-client/pegasus"
)

// enough is how many rows are told one by one.
const enough = 12

// each hands on every row of some scans.
func each(ctx context.Context, scanners []pegasus.Scanner, row func(hashKey, sortKey, value []byte)) error {
	for _, scanner := range scanners {
		for {
			ended, hash, sortKey, value, err := scanner.Next(ctx)
			if err != nil {
				return err
			}
			if ended {
				break
			}
			row(hash, sortKey, value)
		}
		scanner.Close()
	}
	return nil
}

// scanned tells the rows of some scans in order; of many the first and the last.
func scanned(ctx context.Context, scanners []pegasus.Scanner, err error) (interface{}, error) {
	if err != nil {
		return nil, err
	}
	found := []string{}
	err = each(ctx, scanners, func(hash, sortKey, value []byte) {
		found = append(found, fmt.Sprintf("%s:%s=%s", hash, sortKey, value))
	})
	if err != nil {
		return nil, err
	}
	sort.Strings(found)
	if len(found) <= enough {
		return found, nil
	}
	return told{"rows": len(found), "first": found[0], "last": found[len(found)-1]}, nil
}

func matching(kind pegasus.FilterType, pattern string) pegasus.Filter {
	return pegasus.Filter{Type: kind, Pattern: []byte(pattern)}
}

// scans is every kind of scan.
func (d *driver) scans() {
	hash := func(name, from, to string, change func(*pegasus.ScannerOptions)) {
		step("hash scan "+name, usual, func(ctx context.Context) (interface{}, error) {
			options := pegasus.NewScanOptions()
			change(options)
			scanner, err := d.table.GetScanner(ctx, manyKey, []byte(from), []byte(to), options)
			return scanned(ctx, []pegasus.Scanner{scanner}, err)
		})
	}
	hash("all", "", "", func(*pegasus.ScannerOptions) {})
	hash("in batches of 2", "", "", func(o *pegasus.ScannerOptions) { o.BatchSize = 2 })
	hash("range, both ends", "ab", "c", func(o *pegasus.ScannerOptions) { o.StopInclusive = true })
	hash("prefix", "", "", func(o *pegasus.ScannerOptions) { o.SortKeyFilter = matching(pegasus.FilterTypeMatchPrefix, "a") })
	hash("no value", "", "", func(o *pegasus.ScannerOptions) { o.NoValue = true })
	hash("empty range", "z", "a", func(*pegasus.ScannerOptions) {})
	done("2,500 rows", func(ctx context.Context) error {
		for first := 0; first < 2500; first += 100 {
			var sortKeys, values [][]byte
			for i := first; i < first+100; i++ {
				sortKeys = append(sortKeys, []byte(fmt.Sprintf("%04d", i)))
				values = append(values, []byte("v"))
			}
			owner := fmt.Sprintf("many%d", first/100%3)
			if err := d.table.MultiSet(ctx, []byte(owner), sortKeys, values); err != nil {
				return err
			}
		}
		return nil
	})
	full := func(name string, change func(*pegasus.ScannerOptions)) {
		step("full scan "+name, usual, func(ctx context.Context) (interface{}, error) {
			options := pegasus.NewScanOptions()
			change(options)
			scanners, err := d.table.GetUnorderedScanners(ctx, 2, options)
			return scanned(ctx, scanners, err)
		})
	}
	full("all", func(o *pegasus.ScannerOptions) { o.BatchSize = 100 })
	full("hash key filter", func(o *pegasus.ScannerOptions) { o.HashKeyFilter = matching(pegasus.FilterTypeMatchPostfix, "ti") })
	full("sort key filter", func(o *pegasus.ScannerOptions) { o.SortKeyFilter = matching(pegasus.FilterTypeMatchAnywhere, "b") })
	step("scanner closed half way", usual, func(ctx context.Context) (interface{}, error) {
		options := pegasus.NewScanOptions()
		options.BatchSize = 10
		scanner, err := d.table.GetScanner(ctx, []byte("many0"), nil, nil, options)
		if err != nil {
			return nil, err
		}
		ended, _, sortKey, _, err := scanner.Next(ctx)
		scanner.Close()
		return fmt.Sprintf("%v %s", ended, sortKey), err
	})
}

// fill writes what somebody else is to read: texts, bytes, an empty value, one that lives for a while.
func (d *driver) fill() {
	done("set", func(ctx context.Context) error {
		return d.table.Set(ctx, []byte("go"), []byte("text"), []byte("häuser"))
	})
	done("set binary", func(ctx context.Context) error {
		return d.table.Set(ctx, []byte{0xff, 0}, []byte{0, 0xff}, []byte{0, 1, 0xfe})
	})
	done("set empty", func(ctx context.Context) error { return d.table.Set(ctx, []byte("go"), []byte{}, []byte{}) })
	done("set with ttl", func(ctx context.Context) error {
		return d.table.SetTTL(ctx, []byte("go"), []byte("short"), []byte("lived"), 5000*time.Second)
	})
	done("multi_set", func(ctx context.Context) error {
		return d.table.MultiSet(ctx, []byte("go many"), keys("a", "b", "c"), keys("1", "2", "3"))
	})
	step("incr", usual, func(ctx context.Context) (interface{}, error) {
		return d.table.Incr(ctx, []byte("go"), []byte("count"), 7)
	})
}

// dump prints the rows in order, keys and values in hexadecimal.
func (d *driver) dump() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	scanners, err := d.table.GetUnorderedScanners(ctx, 4, pegasus.NewScanOptions())
	lines := []told{}
	if err == nil {
		err = each(ctx, scanners, func(hash, sortKey, value []byte) {
			lines = append(lines, told{"hash_key": fmt.Sprintf("%x", hash), "sort_key": fmt.Sprintf("%x", sortKey), "value": fmt.Sprintf("%x", value)})
			if len(hash) > 0 {
				seconds, failed := d.table.TTL(ctx, hash, sortKey)
				if failed != nil {
					err = failed
				}
				lines[len(lines)-1]["ttl"] = seconds
			}
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, line := range lines {
		tell(line)
	}
}

// bench sets and gets keys with several workers at once.
func (d *driver) bench(count, workers string) {
	total, err := strconv.Atoi(count)
	hands, wrong := strconv.Atoi(workers)
	if err != nil || wrong != nil {
		fmt.Fprintln(os.Stderr, "bench TABLE COUNT WORKERS")
		os.Exit(2)
	}
	value := make([]byte, 100)
	run := func(each func(context.Context, []byte) error) float64 {
		var all sync.WaitGroup
		began := time.Now()
		for hand := 0; hand < hands; hand++ {
			all.Add(1)
			go func(first int) {
				defer all.Done()
				for i := first; i < total; i += hands {
					ctx, cancel := context.WithTimeout(context.Background(), usual)
					if err := each(ctx, []byte(fmt.Sprintf("key%08d", i))); err != nil {
						fmt.Fprintln(os.Stderr, err)
						os.Exit(1)
					}
					cancel()
				}
			}(hand)
		}
		all.Wait()
		return time.Since(began).Seconds()
	}
	sets := run(func(ctx context.Context, key []byte) error { return d.table.Set(ctx, key, []byte("s"), value) })
	gets := run(func(ctx context.Context, key []byte) error {
		found, err := d.table.Get(ctx, key, []byte("s"))
		if err == nil && len(found) != len(value) {
			err = fmt.Errorf("%s: %d bytes", key, len(found))
		}
		return err
	})
	tell(told{"count": total, "workers": hands, "set_seconds": sets, "get_seconds": gets})
}
