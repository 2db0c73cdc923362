// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestUnseenToldOnce: a server with another codec than its interceptors is refused each
// stream; observers are told once of each, however often its handler goes on.
func TestUnseenToldOnce(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.serverOptions = []grpc.ServerOption{grpc.ForceServerCodecV2(encoding.GetCodecV2("proto"))}
	})
	s := &stub{bidi: func(st grpc.BidiStreamingServer[testpb.Message, testpb.Message]) error {
		for range 3 {
			if _, err := st.Recv(); err == nil {
				t.Error("a message was read")
			}
		}
		return nil
	}}
	o := present(t, w.bare(t, s), func(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) error {
		st, err := c.BidiStream(ctx, opts...)
		if err != nil {
			return err
		}
		for n := range 3 {
			if err := st.Send(message(n)); err != nil {
				return err
			}
		}
		return drain(st.Recv)
	}, w.head(t))
	o.refused(t, core.CodeUnavailable)
	if got := w.to.seen.codes(); len(got) != 1 || got[0] != core.CodeUnavailable {
		t.Errorf("observers were told of %v", got)
	}
}
