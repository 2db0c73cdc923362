// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"io"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// hookWorld makes a world whose server has a hook that the test knows.
func hookWorld(t testing.TB) (*world, *grpcect.Codec) {
	t.Helper()
	c := grpcect.NewCodec(nil)
	w := newWorld(t, func(w *world) { w.server = append(w.server, grpcect.WithCodec(c)) })
	return w, c
}

// hostileCalls is how many calls try to fill a hook.
const hostileCalls = 3 * grpcect.MaxIdle

// isIdle fails if a hook keeps more than it may.
func isIdle(t *testing.T, c *grpcect.Codec) {
	t.Helper()
	if n := c.Waiting(); n > grpcect.MaxIdle {
		t.Errorf("%d messages are kept after %d calls, want %d at most", n, hostileCalls, grpcect.MaxIdle)
	}
}

// TestNothingWaits: calls of every kind leave nothing in the hook.
func TestNothingWaits(t *testing.T) {
	w, c := hookWorld(t)
	client := testpb.NewTestServiceClient(dialBufconn(t, w, talk()))
	for range 20 {
		for _, k := range kinds {
			ctx, _ := w.task(t)
			if err := k.call(ctx, client); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := c.Waiting(); n != 0 {
		t.Errorf("%d messages are kept", n)
	}
}

// TestSecondMessage: clients that send a second message in a unary call, which grpc-go
// refuses before an interceptor sees the first, fill no memory.
func TestSecondMessage(t *testing.T) {
	w, c := hookWorld(t)
	client := w.wire(t, talk())
	m := odd[0].message
	for n := range hostileCalls {
		r := client.call(t, wireCall{method: "Unary", messages: [][]byte{m, m}})
		if r.status.Code() != codes.Internal {
			t.Fatalf("the call ended with %v", r.status)
		}
		if n%256 == 0 {
			runtime.GC()
		}
	}
	isIdle(t, c)
	wireBytes(t, w, client, "Unary", false, m)
}

// TestGoneBeforeHalfClose: clients that leave after their request, and before its end, fill
// no memory.
func TestGoneBeforeHalfClose(t *testing.T) {
	codec := newCounting()
	c := grpcect.NewCodec(codec)
	w := newWorld(t, func(w *world) { w.server = append(w.server, grpcect.WithCodec(c)) })
	client := w.wire(t, talk())
	for n := range int32(100) {
		ctx, cancel := context.WithCancel(t.Context())
		body, write := io.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			resp, err := client.client.Do(wireCall{method: "Unary"}.request(ctx, t, body))
			if err == nil {
				t.Errorf("the call ended with %v", resp.Status)
			}
		}()
		if _, err := write.Write(frame(odd[0].message, false)); err != nil {
			t.Fatal(err)
		}
		await(t, "the message", func() bool { return codec.read.Load() > n })
		cancel()
		<-done
		write.Close()
	}
	if n := c.Waiting(); n == 0 {
		t.Error("nothing was kept, so nothing was tested")
	}
	isIdle(t, c)
	wireBytes(t, w, client, "Unary", false, odd[0].message)
}

// TestGoneFromStream: clients that leave streams while they are waited for leave nothing.
func TestGoneFromStream(t *testing.T) {
	w, c := hookWorld(t)
	client := testpb.NewTestServiceClient(dialBufconn(t, w, talk()))
	var wg sync.WaitGroup
	for range 64 {
		ctx, _ := w.task(t)
		wg.Go(func() {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			st, err := client.BidiStream(ctx)
			if err == nil {
				err = st.Send(message(1))
			}
			if err == nil {
				_, err = st.Recv()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	await(t, "streams to end", func() bool { return c.Waiting() == 0 })
}

// TestAddressTakenOver: a request that did not pass the hook is not taken for one that did,
// and that nobody asked for before its memory was given to this one.
func TestAddressTakenOver(t *testing.T) {
	t.Run("large", func(t *testing.T) { addressTakenOver(t, func() *blob { return &blob{} }) })
	t.Run("small", func(t *testing.T) { addressTakenOver(t, func() *dot { return &dot{} }) })
}

func addressTakenOver[T any](t *testing.T, fresh func() *T) {
	t.Helper()
	var refuse atomic.Bool
	seen, again := map[uintptr]bool{}, 0
	codec := grpcect.NewCodec(jsonCodec{})
	w := newWorld(t, func(w *world) { w.server = append(w.server, grpcect.WithCodec(codec)) })
	ran := 0
	cc := w.custom(t, desc[T](func() { ran++ }), grpc.UnaryInterceptor(
		func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if refuse.Load() {
				seen[reflect.ValueOf(req).Pointer()] = true
				return nil, status.Error(codes.Aborted, "not now")
			}
			other := fresh()
			if seen[reflect.ValueOf(other).Pointer()] {
				again++
			}
			return handler(ctx, other)
		}))
	for range 40 {
		refuse.Store(true)
		for range 200 {
			ctx, _ := w.task(t)
			if _, _, err := customCall(ctx, cc, "Unary", fresh(), grpc.ForceCodecV2(jsonCodec{})); status.Code(err) != codes.Aborted {
				t.Fatalf("the call = %v", err)
			}
		}
		runtime.GC()
		refuse.Store(false)
		for range 200 {
			ctx, _ := w.task(t)
			if _, _, err := customCall(ctx, cc, "Unary", fresh(), grpc.ForceCodecV2(jsonCodec{})); status.Code(err) != codes.Unavailable {
				t.Fatalf("the call = %v", err)
			}
		}
		if again > 50 {
			break
		}
	}
	if ran > 0 {
		t.Errorf("the handler ran %d times", ran)
	}
	if again == 0 {
		t.Error("no address was taken over, so nothing was tested")
	}
	t.Logf("%d addresses were taken over", again)
}
