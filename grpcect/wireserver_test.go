// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// wirePeer is a server that frames its messages by hand and says in its answer what a test
// has it say.
type wirePeer struct {
	replies [][]byte
	zip     bool
	// answer changes what would be a right answer.
	answer func(*ecttest.Token)
	// got is what the last call sent, and dispatch its token.
	got      [][]byte
	zipped   bool
	dispatch core.Claims
}

// peer returns a connection of the world's caller to such a server.
func (w *world) peer(t testing.TB, p *wirePeer) *grpc.ClientConn {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	server := &http.Server{
		Protocols: new(http.Protocols), ReadHeaderTimeout: patience,
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if err := p.serve(t, w, rw, r); err != nil {
				t.Error(err)
			}
		}),
	}
	server.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return w.connect(t, bufTarget, bufOptions(l)...)
}

// serve replies before it reads, as the caller of a stream may wait for that.
func (p *wirePeer) serve(t testing.TB, w *world, rw http.ResponseWriter, r *http.Request) error {
	h := rw.Header()
	h.Set("Content-Type", "application/grpc")
	h.Set("Trailer", "Grpc-Status, Execution-Context")
	if p.zip {
		h.Set("Grpc-Encoding", gzip.Name)
	}
	for _, m := range p.replies {
		if _, err := rw.Write(frame(m, p.zip)); err != nil {
			return err
		}
	}
	if err := http.NewResponseController(rw).Flush(); err != nil {
		return err
	}
	p.got, p.zipped = nil, false
	for {
		m, zip, err := unframe(r.Body)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		p.got, p.zipped = append(p.got, m), p.zipped || zip
	}
	head := r.Header.Get(core.CarrierTokens)
	u, err := core.ParseWithoutVerification(head)
	if err != nil {
		return err
	}
	p.dispatch = u.ClaimsWithoutVerification()
	answer := w.to.agent.Token(w.from.agent.Identity).After(t, true, head).
		With("inp_hash", claimOf(wireHash(p.got...))).With("out_hash", claimOf(wireHash(p.replies...)))
	if p.answer != nil {
		p.answer(answer)
	}
	h.Set("Grpc-Status", "0")
	h.Set(core.CarrierTokens, answer.Sign(t))
	return nil
}

// TestPeerBytes: what a client dispatches is the hash of the bytes that it sends, and what
// it holds an answer against that of the bytes that come, whatever they would be if they
// were serialized again; both before compression.
func TestPeerBytes(t *testing.T) {
	for name, binding := range bindings {
		for _, k := range kinds {
			for _, zip := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/gzip=%t", name, k.name, zip), func(t *testing.T) {
					w := newWorld(t, func(w *world) { w.from.policy.Body = binding })
					p := &wirePeer{zip: zip}
					c := testpb.NewTestServiceClient(w.peer(t, p))
					ctx, _ := w.task(t)
					var opts []grpc.CallOption
					if zip {
						opts = append(opts, grpc.UseCompressor(gzip.Name))
					}
					for n, replies := range peerReplies(k.name) {
						p.replies = replies
						var answer *core.Received
						if err := k.call(ctx, c, append(opts, grpcect.Answer(&answer))...); err != nil || answer == nil {
							t.Fatalf("%d: %v, answered %t", n, err, answer != nil)
						}
						if p.zipped != zip {
							t.Errorf("%d: what was sent was compressed: %t", n, p.zipped)
						}
						if want := wireHash(p.got...); k.dispatched && p.dispatch.OutHash != want {
							t.Errorf("%d: dispatched %v, sent %v", n, p.dispatch.OutHash, want)
						}
					}
				})
			}
		}
	}
}

// peerReplies are what a peer may reply to a call of a kind.
func peerReplies(kind string) (all [][][]byte) {
	if kind == "server stream" || kind == "bidi stream" {
		many := [][]byte{nil}
		for _, o := range odd {
			many = append(many, o.message)
		}
		// The caller of a bidi stream sends after each of its first replies.
		return [][][]byte{many, slices.Repeat(many, 20), {nil, nil, nil}}
	}
	all = [][][]byte{{nil}}
	for _, o := range odd {
		all = append(all, [][]byte{o.message})
	}
	return all
}

// TestPeerDiffers: messages that are not those that the peer's record names are an error of
// the call, and the answer is not given out.
func TestPeerDiffers(t *testing.T) {
	right := odd[0].message
	other := claimOf(wireHash(reserialized(t, right)))
	for _, tt := range []struct {
		name   string
		answer func(*ecttest.Token)
		// bad tells under which policies that is an error.
		bad []core.BodyBinding
	}{
		{"another request", func(a *ecttest.Token) { a.With("inp_hash", other) }, []core.BodyBinding{core.BodyMatch, core.BodyRequire}},
		{"another reply", func(a *ecttest.Token) { a.With("out_hash", other) }, []core.BodyBinding{core.BodyMatch, core.BodyRequire}},
		{"no request", func(a *ecttest.Token) { delete(a.Claims, "inp_hash") }, []core.BodyBinding{core.BodyRequire}},
		{"no reply", func(a *ecttest.Token) { delete(a.Claims, "out_hash") }, []core.BodyBinding{core.BodyRequire}},
	} {
		for _, k := range kinds {
			for binding, name := range map[core.BodyBinding]string{core.BodyIgnore: "ignore", core.BodyMatch: "match", core.BodyRequire: "require"} {
				t.Run(strings.Join([]string{tt.name, k.name, name}, "/"), func(t *testing.T) {
					w := newWorld(t, func(w *world) { w.from.policy.Body = binding })
					p := &wirePeer{answer: tt.answer, replies: [][]byte{right}}
					if k.name == "bidi stream" {
						p.replies = [][]byte{right, nil, right}
					}
					c := testpb.NewTestServiceClient(w.peer(t, p))
					ctx, _ := w.task(t)
					var answer *core.Received
					err := k.call(ctx, c, grpcect.Answer(&answer))
					if !slices.Contains(tt.bad, binding) {
						if err != nil || answer == nil {
							t.Errorf("the call = %v, answered %t", err, answer != nil)
						}
						return
					}
					bad, ok := errors.AsType[*core.Error](err)
					if !ok || bad.Code != core.CodeBody || status.Code(err) != codes.DataLoss || answer != nil {
						t.Errorf("the call = %v (%v), answered %t; want it refused for its messages", err, status.Code(err), answer != nil)
					}
				})
			}
		}
	}
}
