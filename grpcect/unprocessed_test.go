// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// Frames of HTTP/2 (RFC 9113, 6).
const (
	frameHeaders  = 0x1
	frameReset    = 0x3
	frameSettings = 0x4
	frameGoAway   = 0x7

	codeRefusedStream = 0x7
)

// http2Frame returns a frame of HTTP/2.
func http2Frame(kind byte, stream uint32, payload []byte) []byte {
	head := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, 0}
	return append(binary.BigEndian.AppendUint32(head, stream), payload...)
}

// goAway says that streams up to the last one may have been processed.
func goAway(last uint32) []byte {
	return http2Frame(frameGoAway, 0, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, last), 0))
}

// spoil answers the first call on a connection with frames, and then nothing more.
func spoil(conn net.Conn, answer func(stream uint32) []byte) error {
	if _, err := io.CopyN(io.Discard, conn, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
		return err
	}
	if _, err := conn.Write(http2Frame(frameSettings, 0, nil)); err != nil {
		return err
	}
	for {
		var head [9]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, conn, int64(head[0])<<16|int64(head[1])<<8|int64(head[2])); err != nil {
			return err
		}
		if head[3] != frameHeaders {
			continue
		}
		if _, err := conn.Write(answer(binary.BigEndian.Uint32(head[5:]))); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, conn) // until the client goes
		return err
	}
}

// spoiled is a listener whose first connection does not get to the server.
type spoiled struct {
	net.Listener
	answer  func(stream uint32) []byte
	spoiled bool
}

// Accept implements net.Listener.
func (l *spoiled) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil || l.spoiled {
		return conn, err
	}
	l.spoiled = true
	go func() {
		defer conn.Close()
		spoil(conn, l.answer)
	}()
	return l.Listener.Accept()
}

// TestUnprocessed: grpc-go makes an attempt again that the server never processed, with the
// same token. To the server it is the first.
func TestUnprocessed(t *testing.T) {
	for name, answer := range map[string]func(stream uint32) []byte{
		// The connection is known to go away when the call is made again, or that could come to the
		// same one: grpc-go makes it again by itself but once.
		"the stream is refused": func(stream uint32) []byte {
			return append(goAway(stream), http2Frame(frameReset, stream, binary.BigEndian.AppendUint32(nil, codeRefusedStream))...)
		},
		"the connection goes away": func(uint32) []byte { return goAway(0) },
	} {
		for _, k := range kinds {
			t.Run(name+"/"+k.name, func(t *testing.T) {
				w := newWorld(t)
				var calls atomic.Int32
				l := &spoiled{Listener: listen(t), answer: func(stream uint32) []byte {
					calls.Add(1)
					return answer(stream)
				}}
				w.serve(t, l, talk())
				cc := w.connect(t, l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
				ctx, task := w.task(t)
				w.getsThrough(ctx, t, task, k.call, cc)
				if n := calls.Load(); n != 1 {
					t.Errorf("%d calls came on the connection that was spoiled", n)
				}
			})
		}
	}
}

// getsThrough makes a call that is made several times and gets through once.
func (w *world) getsThrough(ctx context.Context, t testing.TB, task *core.Task, call caller, cc *grpc.ClientConn) {
	t.Helper()
	var answer *core.Received
	if err := call(ctx, testpb.NewTestServiceClient(cc), grpcect.Answer(&answer), grpc.WaitForReady(true)); err != nil {
		t.Fatal(err)
	}
	dispatch, record := w.from.seen.tokens(), w.to.seen.tokens()
	if len(dispatch) != 1 || len(record) != 1 || answer == nil || len(w.to.seen.codes()) > 0 {
		t.Fatalf("%d dispatches, %d records, answered %t, reported %v", len(dispatch), len(record), answer != nil, w.to.seen.codes())
	}
	if p := record[0].Claims().Pred; len(p) != 1 || p[0] != dispatch[0].Claims().TaskID {
		t.Errorf("the record comes after %v", p)
	}
	w.after(ctx, t, task, record[0].Claims().TaskID)
}

// TestConnectionRefused: a call that waits until there is a connection has one token.
func TestConnectionRefused(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t)
			l := listen(t)
			w.serve(t, l, talk())
			var dialed atomic.Int32
			cc := w.connect(t, l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: time.Millisecond, Multiplier: 1, MaxDelay: time.Millisecond}}),
				grpc.WithContextDialer(func(ctx context.Context, to string) (net.Conn, error) {
					if dialed.Add(1) <= 2 {
						return nil, syscall.ECONNREFUSED
					}
					return new(net.Dialer).DialContext(ctx, "tcp", to)
				}))
			ctx, task := w.task(t)
			w.getsThrough(ctx, t, task, k.call, cc)
			if n := dialed.Load(); n < 3 {
				t.Errorf("dialed %d times, and refused twice", n)
			}
		})
	}
}
