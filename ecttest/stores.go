// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package ecttest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/core/replay"
)

var errStoreDown = errors.New("the store cannot be reached")

func newReplay(tb testing.TB, c replay.Config) *replay.Memory {
	tb.Helper()
	m, err := replay.NewMemory(c)
	if err != nil {
		tb.Fatalf("replay.NewMemory: %v", err)
	}
	return m
}

func newTasks(tb testing.TB, c dag.MemoryConfig) *dag.Memory {
	tb.Helper()
	m, err := dag.NewMemory(c)
	if err != nil {
		tb.Fatalf("dag.NewMemory: %v", err)
	}
	return m
}

// downReplay is a replay store that cannot be reached until it is up.
type downReplay struct {
	replay.Store
	up atomic.Bool
}

func newDownReplay(tb testing.TB) *downReplay {
	tb.Helper()
	return &downReplay{Store: newReplay(tb, replay.Config{})}
}

// Claim implements [replay.Store].
func (d *downReplay) Claim(ctx context.Context, batch []replay.Claim, once bool) ([]replay.Outcome, error) {
	if !d.up.Load() {
		return nil, errStoreDown
	}
	return d.Store.Claim(ctx, batch, once)
}

// downTasks is a task store that cannot be asked until checks is set, and cannot be told
// until admits is.
type downTasks struct {
	dag.Store
	checks, admits atomic.Bool
}

func newDownTasks(tb testing.TB) *downTasks {
	tb.Helper()
	return &downTasks{Store: newTasks(tb, dag.MemoryConfig{})}
}

// Check implements [dag.Store].
func (d *downTasks) Check(ctx context.Context, p *dag.Proposal) ([]dag.Judgement, error) {
	if !d.checks.Load() {
		return nil, errStoreDown
	}
	return d.Store.Check(ctx, p)
}

// Admit implements [dag.Store].
func (d *downTasks) Admit(ctx context.Context, p *dag.Proposal) ([]dag.Judgement, error) {
	if !d.admits.Load() {
		return nil, errStoreDown
	}
	return d.Store.Admit(ctx, p)
}

// shift is a clock that is ahead of the real one.
type shift struct{ by atomic.Int64 }

func (s *shift) set(d time.Duration) { s.by.Store(int64(d)) }
func (s *shift) now() time.Time      { return time.Now().Add(time.Duration(s.by.Load())) }
