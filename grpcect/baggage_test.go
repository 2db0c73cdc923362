// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"

	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// wireLog is a stats handler that keeps all metadata of a server's calls, both ways.
type wireLog struct {
	mu  sync.Mutex
	all []metadata.MD
}

func (*wireLog) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*wireLog) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*wireLog) HandleConn(context.Context, stats.ConnStats)                       {}
func (l *wireLog) HandleRPC(_ context.Context, s stats.RPCStats) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch s := s.(type) {
	case *stats.InHeader:
		l.all = append(l.all, s.Header.Copy())
	case *stats.OutHeader:
		l.all = append(l.all, s.Header.Copy())
	case *stats.OutTrailer:
		l.all = append(l.all, s.Trailer.Copy())
	}
}

// TestNoIDsInBaggage: nothing of ours is in what tracing carries, where all of it goes along
// (profile 10.3), with calls of every kind and their answers.
func TestNoIDsInBaggage(t *testing.T) {
	w, o, log := newWorld(t, func(w *world) { w.from.tells.Trace = everyTrace }), newTelemetry(t), &wireLog{}
	l := listen(t)
	s := grpc.NewServer(append(grpcect.ServerOptions(w.to.service), grpc.StatsHandler(o.server()), grpc.StatsHandler(log))...)
	testpb.RegisterTestServiceServer(s, talk())
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	guard := grpc.WithStatsHandler(grpcect.GuardTrace(o.client()))
	c := testpb.NewTestServiceClient(dial(t, l.Addr().String(), append(grpcect.DialOptions(w.from.service, w.client...), guard, plaintext)...))
	for _, k := range kinds {
		ctx, _ := w.task(t)
		if err := k.call(traced(ctx, t), c); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
	}
	s.GracefulStop() // which waits for the calls
	if err := <-done; err != nil {
		t.Error(err)
	}
	var ours []string
	for _, i := range append(w.from.seen.tokens(), w.to.seen.tokens()...) {
		ours = append(ours, i.TaskID().String(), i.Workflow().String())
		ours = append(ours, strings.Split(i.Text(), ".")...)
	}
	if len(ours) != len(kinds)*2*(2+3) { // a dispatch and a task for each
		t.Fatalf("%d ids and parts", len(ours))
	}
	carried := 0
	for _, md := range log.all {
		for _, name := range traceIn(md) {
			carried++
			for _, v := range md[name] {
				for _, id := range ours {
					if strings.Contains(v, id) || len(id) == 36 && strings.Contains(strings.ToLower(v), strings.ReplaceAll(id, "-", "")) {
						t.Errorf("%s holds an id or a part of a token", name)
					}
				}
			}
		}
	}
	if carried != 3*len(kinds) {
		t.Errorf("%d entries of tracing were carried", carried)
	}
}
