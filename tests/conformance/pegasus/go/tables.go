// Copyright: (c) 2026, polystore.storage contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/apache/incubator-pegasus/go-client/idl/admin"
	"github.com/apache/incubator-pegasus/go-client/pegasus"
)

// creating asks for a table, and tells whether it got an id.
func (d *driver) creating(name string, partitions, replicas int32, forgiving bool) call {
	return func(ctx context.Context) (interface{}, error) {
		options := &admin.CreateAppOptions{
			PartitionCount: partitions, ReplicaCount: replicas, SuccessIfExist: forgiving,
			AppType: "pegasus", IsStateful: true, Envs: map[string]string{},
		}
		answer, err := d.admin.CreateApp(ctx, &admin.CreateAppRequest{AppName: name, Options: options})
		return err == nil && answer.Appid > 0, err
	}
}

// listed tells the lines of LIST_APPS that are about the table.
func (d *driver) listed(status admin.AppStatus) call {
	return func(ctx context.Context) (interface{}, error) {
		answer, err := d.admin.ListApps(ctx, &admin.ListAppsRequest{Status: status})
		if err != nil {
			return nil, err
		}
		rows := []string{}
		for _, app := range answer.Infos {
			if app.AppName != d.name {
				continue
			}
			counts := fmt.Sprintf("partitions=%d replicas=%d", app.PartitionCount, app.MaxReplicaCount)
			rows = append(rows, fmt.Sprintf("%v %s %s stateful=%v envs=%v", app.Status, app.AppType, counts, app.IsStateful, app.Envs))
		}
		return rows, nil
	}
}

// environment changes the table's.
func (d *driver) environment(name string, op admin.AppEnvOperation, keys, values []string) {
	done(name, func(ctx context.Context) error {
		nothing := ""
		request := &admin.UpdateAppEnvRequest{AppName: d.name, Op: op, Keys: keys, Values: values, ClearPrefix: &nothing}
		_, err := d.admin.UpdateAppEnv(ctx, request)
		return err
	})
}

// tables creates the table, and asks the metas all that they answer.
func (d *driver) tables() {
	step("create table", usual, d.creating(d.name, 4, 3, false))
	step("create again", usual, d.creating(d.name, 4, 3, false))
	step("create again, success_if_exist", usual, d.creating(d.name, 4, 3, true))
	step("create again, other partition count", usual, d.creating(d.name, 8, 3, true))
	step("create with 0 partitions", usual, d.creating(d.name+"0", 0, 3, false))
	step("create with 9 replicas", usual, d.creating(d.name+"9", 4, 9, false))
	step("list tables", usual, d.listed(admin.AppStatus_AS_AVAILABLE))
	set := admin.AppEnvOperation_APP_ENV_OP_SET
	d.environment("set envs", set, []string{"default_ttl", "business.info"}, []string{"0", "x"})
	d.environment("set unknown env", set, []string{"no.such.env"}, []string{"x"})
	step("list envs", usual, d.listed(admin.AppStatus_AS_AVAILABLE))
	d.environment("delete env", admin.AppEnvOperation_APP_ENV_OP_DEL, []string{"business.info"}, nil)
	d.environment("clear envs", admin.AppEnvOperation_APP_ENV_OP_CLEAR, nil, nil)
	step("list nodes", usual, func(ctx context.Context) (interface{}, error) {
		answer, err := d.admin.ListNodes(ctx, &admin.ListNodesRequest{})
		if err != nil {
			return nil, err
		}
		states := make([]string, 0, len(answer.Infos))
		for _, node := range answer.Infos {
			states = append(states, node.Status.String())
		}
		return states, nil
	})
	step("cluster info", usual, func(ctx context.Context) (interface{}, error) {
		answer, err := d.admin.QueryClusterInfo(ctx, &admin.ClusterInfoRequest{})
		if err != nil {
			return nil, err
		}
		sort.Strings(answer.Keys)
		return answer.Keys, nil
	})
	step("meta level", usual, func(ctx context.Context) (interface{}, error) {
		answer, err := d.admin.MetaControl(ctx, &admin.MetaControlRequest{Level: admin.MetaFunctionLevel_fl_invalid})
		if err != nil {
			return nil, err
		}
		return answer.GetOldLevel().String(), nil
	})
	d.configurations()
}

// configurations waits until the table is whole, and opens it.
func (d *driver) configurations() {
	step("query config, no such table", usual, func(ctx context.Context) (interface{}, error) {
		answer, err := d.admin.QueryConfig(ctx, "nosuchtable")
		if err == nil && answer.Err.Errno != "ERR_OK" {
			err = errors.New(answer.Err.Errno)
		}
		return nil, err
	})
	step("query config", time.Minute, func(ctx context.Context) (interface{}, error) {
		for ; ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
			answer, err := d.admin.QueryConfig(ctx, d.name)
			if err != nil {
				return nil, err
			}
			whole, ballots, replicas := len(answer.Partitions) > 0, true, int32(0)
			for _, one := range answer.Partitions {
				whole = whole && one.Primary.GetRawAddress() != 0 && len(one.Secondaries) == 2
				ballots, replicas = ballots && one.Ballot > 0, one.MaxReplicaCount
			}
			if whole {
				head := fmt.Sprintf("%s partitions=%d stateful=%v", answer.Err.Errno, answer.PartitionCount, answer.IsStateful)
				return fmt.Sprintf("%s ballot>0=%v replicas=%d", head, ballots, replicas), nil
			}
		}
		return nil, ctx.Err()
	})
	client := pegasus.NewClient(pegasus.Config{MetaServers: d.metas})
	done("open, no such table", func(ctx context.Context) error {
		_, err := client.OpenTable(ctx, "nosuchtable")
		return err
	})
	done("open table", func(ctx context.Context) (err error) {
		d.table, err = client.OpenTable(ctx, d.name)
		return err
	})
	if d.table == nil {
		panic("without the table nothing else can be tried")
	}
}

// drops drops the table.
func (d *driver) drops() {
	dropping := func(forgiving bool) func(context.Context) error {
		return func(ctx context.Context) error {
			options := &admin.DropAppOptions{SuccessIfNotExist: forgiving}
			_, err := d.admin.DropApp(ctx, &admin.DropAppRequest{AppName: d.name, Options: options})
			return err
		}
	}
	done("drop table", dropping(false))
	done("drop again", dropping(false))
	done("drop again, success_if_not_exist", dropping(true))
	step("dropped table in the list", usual, d.listed(admin.AppStatus_AS_INVALID))
	done("recall unknown id", func(ctx context.Context) error {
		_, err := d.admin.RecallApp(ctx, &admin.RecallAppRequest{AppID: 999999})
		return err
	})
}
