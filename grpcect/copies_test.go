// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package grpcect_test

import (
	"bytes"
	"context"
	"runtime"
	"runtime/debug"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestNoCopies: a call with messages of a megabyte allocates no more beyond the same call
// without interceptors than calls with small messages do, far less than one copy of one.
func TestNoCopies(t *testing.T) {
	const size, margin = 1 << 20, 128 << 10
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which empties pools
	m := &testpb.Message{Data: bytes.Repeat([]byte("x"), size)}
	for name, binding := range bindings {
		for _, k := range wireKinds {
			if k.many && binding == core.BodyRequire {
				continue
			}
			w := newWorld(t, func(w *world) { w.to.policy.Body = binding })
			ours := allocated(t, func() context.Context { ctx, _ := w.task(t); return ctx }, dialBufconn(t, w, gives(m)), k.method, m)
			none := allocated(t, t.Context, bareBufconn(t, gives(m)), k.method, m)
			t.Logf("%s, %s: %d KiB a call, %d without interceptors", name, k.name, ours>>10, none>>10)
			if ours > none+margin {
				t.Errorf("%s, %s: %d KiB a call, %d without interceptors", name, k.name, ours>>10, none>>10)
			}
		}
	}
}

// allocated returns how many bytes a call of a kind allocates, on both sides: the least of
// several, as buffers come from pools at other times.
func allocated(t *testing.T, begin func() context.Context, cc *grpc.ClientConn, method string, m *testpb.Message) uint64 {
	t.Helper()
	least := ^uint64(0)
	for range 8 {
		ctx := begin()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, _, err := exchange(ctx, cc, method, m, 4); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	runtime.GC()
	return least
}

// bareBufconn returns a connection to a service, neither of which records anything.
func bareBufconn(t testing.TB, s *stub) *grpc.ClientConn {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	testpb.RegisterTestServiceServer(server, s)
	run(t, server, l)
	return dial(t, bufTarget, bufOptions(l)...)
}
