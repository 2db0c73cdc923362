// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestDialedTwice: a connection that has the interceptors twice, as one may that is made with
// options of one's own beside a team's, makes calls with one dispatch each.
func TestDialedTwice(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t)
			w.dialOptions = grpcect.DialOptions(w.from.service, grpcect.WithAudience(w.to.agent.Identity))
			cc := testpb.NewTestServiceClient(dialBufconn(t, w, talk()))
			ctx, task := w.task(t)
			var answer *core.Received
			if err := k.call(ctx, cc, grpcect.Answer(&answer)); err != nil || answer == nil {
				t.Errorf("the call = %v, answered %t", err, answer != nil)
			}
			if n := len(w.from.seen.tokens()); n != 1 {
				t.Errorf("%d dispatches, want 1", n)
			}
			w.after(ctx, t, task, w.to.seen.last(t).TaskID)
		})
	}
}

// TestTriedElsewhere: what something in between sends over another connection as well, with
// all that it was given, has the tokens of the call only where that leads to the same peer.
func TestTriedElsewhere(t *testing.T) {
	for _, c := range []struct {
		name string
		// there is who is at the end of the other connection, "" where nobody is named.
		there  string
		tokens bool
	}{
		{"same peer", "spiffe://test.example/to", true},
		{"another peer", "spiffe://test.example/elsewhere", false},
		{"nobody", "", false},
	} {
		for _, k := range kinds[:2] { // those with one request
			t.Run(c.name+"/"+k.name, func(t *testing.T) {
				first, second, w := newReceiver(t), newReceiver(t), newWorld(t)
				at := []string{first.at}
				peers := []core.Audience{}
				switch c.there {
				case "":
				case w.to.agent.Identity:
					at = append(at, second.at)
				default:
					peers = append(peers, core.Audience{ID: c.there, Endpoints: []string{second.at}, Tokens: true, Answer: core.AnswerOptional})
				}
				peers = append(peers, core.Audience{
					ID: w.to.agent.Identity, Endpoints: at, Tokens: true, Answer: core.AnswerOptional, Trace: core.TraceParent,
				})
				s := w.tells(t, peers...)
				other := dial(t, second.at, append(grpcect.DialOptions(s), plaintext)...)
				both := []grpc.DialOption{
					grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
						if err := other.Invoke(ctx, method, req, reply, opts...); err != nil {
							t.Error(err)
						}
						return invoker(ctx, method, req, reply, cc, opts...)
					}),
					grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
						st, err := other.NewStream(ctx, desc, method, opts...)
						if err == nil {
							err = st.CloseSend()
						}
						if err != nil {
							t.Error(err)
							return nil, err
						}
						if err := st.RecvMsg(new(testpb.Message)); err == nil { // that none was sent
							t.Error("a message came back")
						}
						return streamer(ctx, desc, cc, method, opts...)
					}),
				}
				cc := testpb.NewTestServiceClient(dial(t, first.at, append(append(grpcect.DialOptions(s), both...), plaintext)...))
				if err := k.call(asCaller(startTask(t, s)), cc); err != nil {
					t.Fatal(err)
				}
				if md := first.next(t); !core.AnyToken(md[core.CarrierTokens]) {
					t.Error("no token came where the call was made")
				}
				md := second.next(t)
				if came := core.AnyToken(md[core.CarrierTokens]); came != c.tokens {
					t.Errorf("a token came elsewhere: %t", came)
				}
				if came := len(traceIn(md)) > 0; came != c.tokens {
					t.Errorf("metadata of tracing came elsewhere: %q", traceIn(md))
				}
			})
		}
	}
}
