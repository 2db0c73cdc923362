// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// meter looks at what is in use of the heap now and then, while nothing is under way: who
// sends waits until who receives has looked.
type meter struct {
	of     uint32
	looked chan struct{}
	over   chan struct{}
	inUse  []uint64
}

func newMeter(of uint32) *meter {
	return &meter{of: of, looked: make(chan struct{}), over: make(chan struct{})}
}

func (m *meter) isTime(n uint32) bool { return n > 0 && n%(m.of/20) == 0 }

// countTo sends messages that count.
func (m *meter) countTo(send func(*testpb.Message) error) error {
	for n := range m.of {
		if err := send(&testpb.Message{Count: n}); err != nil {
			return err
		}
		if m.isTime(n) {
			select {
			case <-m.looked:
			case <-m.over:
			}
		}
	}
	return nil
}

// counts receives to the end, and checks that the messages count.
func (m *meter) counts(recv func() (*testpb.Message, error)) error {
	defer close(m.over)
	for n := uint32(0); ; n++ {
		got, err := recv()
		if errors.Is(err, io.EOF) && n == m.of {
			return nil
		}
		if err != nil || got.GetCount() != n {
			return errors.Join(errors.New("a message is missing"), err)
		}
		if m.isTime(n) {
			runtime.GC()
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			m.inUse = append(m.inUse, now.HeapAlloc)
			m.looked <- struct{}{}
		}
	}
}

// countHash is the hash of messages that count.
func countHash(n uint32) core.Hash {
	h := sha256.New()
	var b []byte
	for i := range n {
		b = append(b[:0], make([]byte, 8)...)
		if i > 0 { // which is not written
			b = protowire.AppendVarint(append(b, 4<<3), uint64(i))
		}
		binary.BigEndian.PutUint64(b, uint64(len(b)-8))
		h.Write(b)
	}
	return core.Hash{Sum: [32]byte(h.Sum(nil)), Present: true}
}

// TestMillion: streams of a million messages in each of the directions, hashed on both
// sides, use memory that does not grow with them, and each side's hashes are those of what
// passed.
func TestMillion(t *testing.T) {
	n, limit := uint32(1_000_000), uint64(1<<20) // about a byte a message
	if raceEnabled || testing.Short() {
		n = 20_000
	}
	if raceEnabled {
		limit = 64 << 20 // the race detector's own
	}
	many, one := countHash(n), wireHash(protowire.AppendVarint([]byte{4 << 3}, uint64(n)))
	for _, tt := range []struct {
		name     string
		inp, out core.Hash
		call     func(context.Context, testpb.TestServiceClient, *meter, ...grpc.CallOption) error
	}{
		{"down", one, many, func(ctx context.Context, c testpb.TestServiceClient, m *meter, opts ...grpc.CallOption) error {
			st, err := c.ServerStream(ctx, &testpb.Message{Count: n}, opts...)
			if err != nil {
				return err
			}
			return m.counts(st.Recv)
		}},
		{"up", many, one, func(ctx context.Context, c testpb.TestServiceClient, m *meter, opts ...grpc.CallOption) error {
			st, err := c.ClientStream(ctx, opts...)
			if err != nil {
				return err
			}
			if err := m.countTo(st.Send); err != nil {
				return err
			}
			_, err = st.CloseAndRecv()
			return err
		}},
		{"both", many, many, func(ctx context.Context, c testpb.TestServiceClient, m *meter, opts ...grpc.CallOption) error {
			st, err := c.BidiStream(ctx, opts...)
			if err != nil {
				return err
			}
			sent := make(chan error, 1)
			go func() { sent <- errors.Join(m.countTo(st.Send), st.CloseSend()) }()
			return errors.Join(m.counts(st.Recv), <-sent)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, m := newWorld(t, requireOnClient), newMeter(n)
			c := testpb.NewTestServiceClient(dialBufconn(t, w, &stub{
				serverStream: func(_ *testpb.Message, st grpc.ServerStreamingServer[testpb.Message]) error {
					return m.countTo(st.Send)
				},
				clientStream: func(st grpc.ClientStreamingServer[testpb.Message, testpb.Message]) error {
					if err := m.counts(st.Recv); err != nil {
						return err
					}
					return st.SendAndClose(&testpb.Message{Count: n})
				},
				bidi: talk().bidi,
			}))
			ctx, _, err := w.from.service.StartTask(t.Context(), "test") // which takes longer than other tests
			if err != nil {
				t.Fatal(err)
			}
			var answer *core.Received
			if err := tt.call(ctx, c, m, grpcect.Answer(&answer)); err != nil || answer == nil {
				t.Fatalf("the call = %v, answered %t", err, answer != nil)
			}
			if got := answer.Heads()[0]; got.InpHash() != tt.inp || got.OutHash() != tt.out {
				t.Errorf("inp_hash = %v, out_hash = %v; want %v, %v", got.InpHash(), got.OutHash(), tt.inp, tt.out)
			}
			// At first buffers grow to their size.
			before, after := slices.Max(m.inUse[:10]), slices.Max(m.inUse[10:])
			if after > before+limit {
				t.Errorf("the heap grew from %d KiB to %d: %v", before>>10, after>>10, m.inUse)
			}
			t.Logf("the heap was at %d KiB at most, and then at %d", before>>10, after>>10)
		})
	}
}
