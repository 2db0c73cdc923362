// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/httpect"
	"github.com/go-ect/ect/otelbridge"
)

// showAll is a policy that shows every claim, so that one of a refused token would be seen.
func showAll() otelbridge.Policy {
	p := otelbridge.ShowEverything()
	p.Edge = otelbridge.EdgeRestart
	return p
}

// onStage returns a party in whose name the service of a scene is. What it sends back is
// seen by nobody.
func onStage(t *testing.T, m ecttest.Message, c ecttest.Contents, opts ...otelbridge.Option) (*party, *ecttest.Scene) {
	t.Helper()
	w := newTraced(t, ecttest.NewDomain(), "to", setup{show: showAll(), bridge: opts})
	scene := m.Stage(t, c, core.WithObserver(w.bridge.Observer()))
	w.service = scene.Service
	return w, scene
}

// judgedBy holds the span of a message against what came of it. Of what was refused it has the
// code, and nothing of the tokens, unless it had been accepted before its content was seen.
func judgedBy(t *testing.T, s sdktrace.ReadOnlySpan, code core.Code, content bool, values []string) {
	t.Helper()
	if code == 0 {
		wantAttrs(t, s, map[attribute.Key]string{otelbridge.AttrResult: otelbridge.ResultAccepted, otelbridge.AttrErrorType: ""})
		if s.Status().Code == codes.Error {
			t.Errorf("an accepted message: the status is %v", s.Status())
		}
		return
	}
	wantAttrs(t, s, map[attribute.Key]string{
		otelbridge.AttrResult: code.String(), otelbridge.AttrErrorType: code.String(),
	})
	if s.Status().Code != codes.Error {
		t.Errorf("%v: the status is %v", code, s.Status())
	}
	if content && attr(s.Attributes(), otelbridge.AttrPredecessorCount) != "" {
		return
	}
	text := allOf(s)
	for _, v := range values {
		for part := range strings.FieldsFuncSeq(v, func(r rune) bool { return r == ',' || r == ' ' }) {
			u, err := core.ParseWithoutVerification(part)
			if err != nil {
				continue
			}
			for _, secret := range []string{part, u.ClaimsWithoutVerification().TaskID.String()} {
				// A token without claims is three letters, which ids of traces may have, too.
				if len(secret) > len("e30") && strings.Contains(text, secret) {
					t.Errorf("%v: %q of a refused message is on the span", code, secret)
				}
			}
		}
	}
	if len(s.Links()) > 0 || len(eventsOf(s, otelbridge.EventPredecessor)) > 0 {
		t.Errorf("%v: a refused message has links or predecessors", code)
	}
}

// classes are those of the codes that messages were refused with.
type classes map[core.Class]bool

func (c classes) complete(t *testing.T) {
	t.Helper()
	for _, want := range []core.Class{
		core.ClassMalformed, core.ClassRejected, core.ClassReplayed, core.ClassRequired, core.ClassTooLarge, core.ClassUnavailable,
	} {
		if !c[want] {
			t.Errorf("no message was refused as %v", want)
		}
	}
}

// TestRefusedOverHTTP: every kind of bad message shows its code on the server's span, whatever
// otelhttp sets at its end, or on a span of the bridge where there is no other.
func TestRefusedOverHTTP(t *testing.T) {
	const sent, other = "what is sent", "what is not"
	seen := classes{}
	contents := ecttest.Contents{Sent: core.HashOf([]byte(sent)), Other: core.HashOf([]byte(other))}
	for _, m := range slices.Concat(ecttest.BadMessages(), ecttest.GoodMessages()) {
		for _, own := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, own span %t", m.Name, own), func(t *testing.T) {
				var opts []otelbridge.Option
				if own {
					opts = taskSpans().bridge
				}
				w, scene := onStage(t, m, contents, opts...)
				h := httpect.Middleware(w.service)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					io.Copy(io.Discard, r.Body) //nolint:errcheck // the middleware says what is wrong with it
				}))
				if !own {
					h = otelhttp.NewHandler(h, "serve", otelhttp.WithTracerProvider(w.tracers), otelhttp.WithPropagators(w3c))
				}
				server := httptest.NewServer(h)
				defer server.Close()
				for a := range scene.Attempts() {
					content := sent
					if a.Other {
						content = other
					}
					req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader(content))
					if err != nil {
						t.Fatal(err)
					}
					req.Header[httpect.FieldName] = a.Values
					w.spans.Reset()
					resp, err := server.Client().Do(req)
					if err != nil {
						if strings.Contains(err.Error(), "invalid header field value") {
							return // net/http sends no such message
						}
						t.Fatal(err)
					}
					io.Copy(io.Discard, resp.Body) //nolint:errcheck // its status is looked at
					resp.Body.Close()
					if (resp.StatusCode == http.StatusOK) != (a.Code == 0) {
						t.Fatalf("status = %d, want the code %v", resp.StatusCode, a.Code)
					}
					w.settled(t)
					judgedBy(t, w.one(t), a.Code, m.Content, a.Values)
					seen[a.Code.Class()] = true
					if m.Content && a.Code != 0 {
						return // it may stay claimed, so that the next is a replay
					}
				}
			})
		}
	}
	seen.complete(t)
}

// TestRefusedOverGRPC is TestRefusedOverHTTP for gRPC, unary calls and streams.
func TestRefusedOverGRPC(t *testing.T) {
	hashOf := func(text string) core.Hash {
		b, err := proto.Marshal(payload(text))
		if err != nil {
			t.Fatal(err)
		}
		return core.HashOf(append(binary.BigEndian.AppendUint64(nil, uint64(len(b))), b...))
	}
	const sent, other = "what is sent", "what is not"
	seen := classes{}
	contents := ecttest.Contents{Sent: hashOf(sent), Other: hashOf(other)}
	for _, m := range slices.Concat(ecttest.BadMessages(), ecttest.GoodMessages()) {
		for _, stream := range []bool{false, true} {
			for _, own := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, stream %t, own span %t", m.Name, stream, own), func(t *testing.T) {
					var opts []otelbridge.Option
					if own {
						opts = taskSpans().bridge
					}
					w, scene := onStage(t, m, contents, opts...)
					options := grpcect.ServerOptions(w.service)
					if !own {
						options = append(options, grpc.StatsHandler(otelgrpc.NewServerHandler(
							otelgrpc.WithTracerProvider(w.tracers), otelgrpc.WithPropagators(w3c))))
					}
					client := connect(t, listen(t, &talker{}, options...))
					for a := range scene.Attempts() {
						for _, v := range a.Values {
							if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) {
								return // metadata holds no such value
							}
						}
						ctx := metadata.NewOutgoingContext(t.Context(), metadata.MD{core.CarrierTokens: a.Values})
						content := payload(sent)
						if a.Other {
							content = payload(other)
						}
						w.spans.Reset()
						var err error
						if stream {
							err = drain(ctx, client, content)
						} else {
							_, err = client.UnaryCall(ctx, &grpc_testing.SimpleRequest{Payload: content.GetPayload()})
						}
						if (err == nil) != (a.Code == 0) {
							t.Fatalf("err = %v, want the code %v", err, a.Code)
						}
						w.settled(t)
						judgedBy(t, w.one(t), a.Code, m.Content, a.Values)
						seen[a.Code.Class()] = true
						if m.Content && a.Code != 0 {
							return // as over HTTP
						}
					}
				})
			}
		}
	}
	seen.complete(t)
}

// drain makes a call with a stream of replies, and reads them.
func drain(ctx context.Context, client grpc_testing.TestServiceClient, content *grpc_testing.StreamingOutputCallRequest) error {
	st, err := client.StreamingOutputCall(ctx, content)
	for err == nil {
		_, err = st.Recv()
	}
	if err == io.EOF { //nolint:errorlint // as grpc-go says that a stream ended
		return nil
	}
	return err
}
