// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"sort"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/internal/section"
)

// trailers are the ways to make the trailing metadata of a call as large as a test needs.
var trailers = []struct {
	name string
	// unit is how many bytes on the wire the padding grows by.
	unit int
	// pad returns what a handler sets and returns, with n units of padding, and what it all
	// takes on the wire.
	pad func(n int) (md metadata.MD, size int, err error)
}{
	{"text", 1, func(n int) (metadata.MD, int, error) {
		md := metadata.MD{"x-pad": {strings.Repeat("x", n)}}
		return md, section.Size(md) + section.Size(metadata.MD{"grpc-status": {"0"}, "grpc-message": {""}}), nil
	}},
	{"binary", 4, func(n int) (metadata.MD, int, error) {
		md := metadata.MD{"x-pad-bin": {strings.Repeat("\x00", 3*n)}}
		wire := metadata.MD{"x-pad-bin": {strings.Repeat("A", 4*n)}, "grpc-status": {"0"}, "grpc-message": {""}}
		return md, section.Size(wire), nil
	}},
	{"message", 1, func(n int) (metadata.MD, int, error) {
		text := strings.Repeat("x", n)
		return nil, section.Size(metadata.MD{"grpc-status": {"5"}, "grpc-message": {text}}), status.Error(codes.NotFound, text)
	}},
	{"escaped message", 6, func(n int) (metadata.MD, int, error) {
		return nil, section.Size(metadata.MD{"grpc-status": {"5"}, "grpc-message": {strings.Repeat("%C3%BC", n)}}),
			status.Error(codes.NotFound, strings.Repeat("ü", n))
	}},
	{"message of a plain error", 1, func(n int) (metadata.MD, int, error) {
		text := strings.Repeat("x", n)
		return nil, section.Size(metadata.MD{"grpc-status": {"2"}, "grpc-message": {text}}), fmt.Errorf("%s", text)
	}},
	{"details", 4, func(n int) (metadata.MD, int, error) {
		st, err := status.New(codes.NotFound, "").WithDetails(&errdetails.DebugInfo{Detail: strings.Repeat("x", 3*n)})
		if err != nil {
			panic(err)
		}
		b := base64Len(st)
		return nil, section.Size(metadata.MD{"grpc-status": {"5"}, "grpc-message": {""}, "grpc-status-details-bin": {strings.Repeat("A", b)}}), st.Err()
	}},
}

// TestTrailerRoom: an answer goes as far as the trailing metadata has room, the handler's own
// and the status included. Context is dropped first; then the record is kept, which observers
// are told. What the handler made of the call is not touched.
func TestTrailerRoom(t *testing.T) {
	for _, k := range kinds {
		for _, tr := range trailers {
			t.Run(k.name+"/"+tr.name, func(t *testing.T) {
				w := newWorld(t, func(w *world) { w.to.tells.Context = 1 })
				padding := 0
				cc := w.bare(t, hooked(talk(), func(ctx context.Context) error {
					task, _ := core.TaskFromContext(ctx)
					if _, err := task.Step(ctx, "step", core.StepInput{}); err != nil {
						t.Error(err)
					}
					md, _, err := tr.pad(padding)
					if bad := grpc.SetTrailer(ctx, md); bad != nil {
						t.Error(bad)
					}
					return err
				}))
				call := func(n int) (outcome, int) {
					padding = n
					o := present(t, cc, k.call, w.head(t))
					_, size, want := tr.pad(n)
					if status.Code(o.err) != status.Code(want) || want != nil && status.Convert(o.err).Message() != status.Convert(want).Message() {
						t.Fatalf("%d units: the call = %.100v", n, o.err)
					}
					got := len(o.trailer[core.CarrierTokens])
					if got > 0 {
						size += section.Size(metadata.MD{core.CarrierTokens: o.trailer[core.CarrierTokens]})
					}
					if size > grpcect.DefaultMetadataBytes && got > 0 {
						t.Errorf("%d units: the trailer has %d bytes with %d tokens", n, size, got)
					}
					return o, size
				}
				o, _ := call(0)
				all := o.trailer[core.CarrierTokens]
				if len(all) != 2 {
					t.Fatalf("%d tokens came, want the record and the step", len(all))
				}
				step := section.Size(metadata.MD{core.CarrierTokens: all[1:]})
				record := section.Size(metadata.MD{core.CarrierTokens: all[:1]})
				// Both are as long each time, but for the digits of the status.
				for _, c := range []struct {
					room, tokens int
				}{
					{step + record, 2}, {record, 1},
				} {
					// The largest padding that leaves the room, and one unit more.
					most := sort.Search(grpcect.DefaultMetadataBytes, func(n int) bool {
						_, s, _ := tr.pad(n)
						return grpcect.DefaultMetadataBytes-s < c.room
					}) - 1
					o, size := call(most)
					if len(o.tokens()) != c.tokens {
						t.Errorf("%d units, which leave the room for %d tokens: %d came, %d bytes", most, c.tokens, len(o.tokens()), size)
					}
					unsent := len(w.to.seen.unsent)
					if o, _ = call(most + 1); len(o.tokens()) != c.tokens-1 {
						t.Errorf("%d units: %d tokens came, want %d", most+1, len(o.tokens()), c.tokens-1)
					}
					if told := len(w.to.seen.unsent) - unsent; (told == 1) != (c.tokens == 1) {
						t.Errorf("%d units: %d tokens reported as not sent", most+1, told)
					}
				}
			})
		}
	}
}

// base64Len is how long a status is in base64.
func base64Len(st *status.Status) int {
	return base64.RawStdEncoding.EncodedLen(proto.Size(st.Proto()))
}
