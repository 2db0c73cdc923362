// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// poison is a pool that overwrites what it is given back, so that a buffer that somebody
// still reads shows, and that counts what is out.
type poison struct{ out atomic.Int64 }

func (p *poison) Get(n int) *[]byte {
	p.out.Add(1)
	b := make([]byte, n)
	return &b
}

func (p *poison) Put(b *[]byte) {
	p.out.Add(-1)
	all := (*b)[:cap(*b)]
	for i := range all {
		all[i] = 0xdb
	}
}

// pooled is a codec whose bytes come from a pool.
type pooled struct {
	encoding.CodecV2
	pool *poison
}

func (p pooled) Marshal(v any) (mem.BufferSlice, error) {
	data, err := proto.Marshal(v.(proto.Message))
	if err != nil {
		return nil, err
	}
	b := p.pool.Get(len(data))
	copy(*b, data)
	return mem.BufferSlice{mem.NewBuffer(b, p.pool)}, nil
}

// TestBuffersAreNobodys: bytes are used by nobody once they went back to their pool, in calls
// of every kind, compressed and not, refused, cancelled and tried again by grpc-go.
func TestBuffersAreNobodys(t *testing.T) {
	const retries = `{"methodConfig":[{"name":[{}],"retryPolicy":{"maxAttempts":3,"initialBackoff":"0.001s",
		"maxBackoff":"0.001s","backoffMultiplier":1,"retryableStatusCodes":["ABORTED"]}}]}`
	for _, body := range []core.BodyBinding{core.BodyIgnore, core.BodyMatch, core.BodyRequire} {
		t.Run(fmt.Sprint(body), func(t *testing.T) {
			pool := &poison{}
			codec := pooled{encoding.GetCodecV2("proto"), pool}
			w := newWorld(t, func(w *world) {
				w.to.policy.Body = body
				w.server = append(w.server, grpcect.WithCodec(grpcect.NewCodec(codec)))
				w.serverOptions = append(w.serverOptions, experimental.BufferPool(pool))
				w.dialOptions = append(w.dialOptions, experimental.WithBufferPool(pool),
					grpc.WithDefaultCallOptions(grpc.ForceCodecV2(codec)), grpc.WithDefaultServiceConfig(retries))
			})
			var calls atomic.Int64
			c := testpb.NewTestServiceClient(dialBufconn(t, w, hooked(talk(), func(context.Context) error {
				if calls.Add(1)%5 == 0 {
					return status.Error(codes.Aborted, "again")
				}
				return nil
			})))
			var wg sync.WaitGroup
			for g := range 2 {
				wg.Go(func() {
					for n := range 24 {
						m := &testpb.Message{Text: strings.Repeat(fmt.Sprint(g, n), 1+n*300)}
						if err := callAll(t, w, c, m, n); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// callAll makes a call of every kind whose replies are the request, every other compressed and
// some with little time. It returns what can be no outcome of these.
func callAll(t *testing.T, w *world, c testpb.TestServiceClient, m *testpb.Message, n int) error {
	limit := patience
	if n%7 == 6 {
		limit = time.Duration(n) * 50 * time.Microsecond
	}
	var opts []grpc.CallOption
	if n%2 == 0 {
		opts = append(opts, grpc.UseCompressor(gzip.Name))
	}
	echo := func(recv func() (*testpb.Message, error)) error {
		got, err := recv()
		if err == nil && !proto.Equal(got, m) {
			err = errors.New("another message came back")
		}
		return err
	}
	for _, call := range []func(context.Context) error{
		func(ctx context.Context) error {
			return echo(func() (*testpb.Message, error) { return c.Unary(ctx, m, opts...) })
		},
		func(ctx context.Context) error {
			st, err := c.BidiStream(ctx, opts...)
			if err != nil {
				return err
			}
			for range 3 {
				if err := st.Send(m); err != nil {
					break // and receiving says why
				}
				if err := echo(st.Recv); err != nil {
					return err
				}
			}
			if err := st.CloseSend(); err != nil {
				return err
			}
			return drain(st.Recv)
		},
		func(ctx context.Context) error {
			st, err := c.ServerStream(ctx, m, opts...)
			if err != nil {
				return err
			}
			return drain(st.Recv)
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		ctx, _, err := w.from.service.StartTask(ctx, "test")
		if err != nil {
			cancel()
			return err
		}
		err = call(ctx)
		over := ctx.Err() != nil
		cancel()
		switch status.Code(err) {
		case codes.OK, codes.Aborted:
		case codes.PermissionDenied: // tried again, or a stream of the client that cannot be held
		case codes.DeadlineExceeded: // of the server's, which may be first
		default:
			if !over {
				return err
			}
		}
	}
	return nil
}

// TestHeldRequestGoesBack: a request that was held before its token turned out to be used up
// goes back to its pool.
func TestHeldRequestGoesBack(t *testing.T) {
	pool := &poison{}
	w := newWorld(t, func(w *world) {
		w.to.policy.Body = core.BodyRequire
		w.serverOptions = append(w.serverOptions, experimental.BufferPool(pool))
	})
	m := &testpb.Message{Text: strings.Repeat("x", 8192)}
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(data))))
	sum.Write(data)
	token := w.from.agent.Token(w.to.agent.Identity).With("out_hash", base64.RawURLEncoding.EncodeToString(sum.Sum(nil))).Sign(t)
	cc := w.bare(t, talk())
	call := func(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) error {
		st, err := c.ServerStream(ctx, m, append(opts, grpc.UseCompressor(gzip.Name))...)
		if err != nil {
			return err
		}
		return drain(st.Recv)
	}
	if o := present(t, cc, call, token); o.err != nil {
		t.Fatal(o.err)
	}
	for range 3 {
		present(t, cc, call, token).refused(t, core.CodeReplayed)
	}
	for start := time.Now(); pool.out.Load() > 0; runtime.Gosched() {
		if time.Since(start) > patience/10 {
			t.Fatalf("%d buffers are out", pool.out.Load())
		}
	}
}
