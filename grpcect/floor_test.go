// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
	pb "google.golang.org/protobuf/proto"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/core/replay"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// floor is two services without observers, with stores that no measurement fills, and
// what nobody can do without in their place: one bare verification and one bare signature.
type floor struct {
	from, to *ecttest.Agent
	keys     [2]*ecdsa.PrivateKey // of from and to
	caller   *core.Service
	service  *core.Service
}

func newFloor(tb testing.TB) *floor {
	tb.Helper()
	d := ecttest.NewDomain()
	f := &floor{from: d.Agent(tb, "from"), to: d.Agent(tb, "to")}
	serve := func(a *ecttest.Agent, tells core.Audience) *core.Service {
		tasks, err := dag.NewMemory(dag.MemoryConfig{MaxTasks: 1 << 24, MaxUnsigned: 1 << 24})
		if err != nil {
			tb.Fatal(err)
		}
		claims, err := replay.NewMemory(replay.Config{MaxSigned: 1 << 22, MaxUnsigned: 1 << 22, MaxPerDomain: 1 << 22})
		if err != nil {
			tb.Fatal(err)
		}
		return d.ServiceWithPolicy(tb, a, a.Policy(), []core.Audience{tells}, core.WithTaskStore(tasks), core.WithReplayStore(claims))
	}
	f.caller = serve(f.from, core.Audience{ID: f.to.Identity, Tokens: true, Hashes: true, Answer: core.AnswerRequired})
	f.service = serve(f.to, core.Audience{ID: f.from.Identity, Tokens: true, Hashes: true})
	for n, a := range []*ecttest.Agent{f.from, f.to} {
		key, ok := a.Key.(*ecdsa.PrivateKey)
		if !ok {
			tb.Fatal("the key is none of ECDSA")
		}
		f.keys[n] = key
	}
	return f
}

// verifyOnly returns the service without an issuer.
func (f *floor) verifyOnly(tb testing.TB) *core.Service {
	tb.Helper()
	s, err := core.NewService(f.service.Verifier(), nil, f.service.Audiences())
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// task returns a context with a running task of the caller.
func (f *floor) task(tb testing.TB) context.Context {
	tb.Helper()
	ctx, _, err := f.caller.StartTask(tb.Context(), "test")
	if err != nil {
		tb.Fatal(err)
	}
	return ctx
}

// dialOptions are those of the caller.
func (f *floor) dialOptions() []grpc.DialOption {
	return grpcect.DialOptions(f.caller, grpcect.WithAudience(f.to.Identity))
}

// token returns a dispatch over a message, nil for one that names none.
func (f *floor) token(tb testing.TB, m pb.Message) string {
	tb.Helper()
	t := f.from.Token(f.to.Identity).With("wid", "6f1d3a0e-74b9-4a3b-8f0e-6b1d6a3f0c11")
	if m == nil {
		return t.Sign(tb)
	}
	data, err := pb.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	h := core.HashOf(append(binary.BigEndian.AppendUint64(nil, uint64(len(data))), data...))
	return t.With("out_hash", base64.RawURLEncoding.EncodeToString(h.Sum[:])).Sign(tb)
}

// connect returns a client of a server over memory, with nothing but these options.
func connect(tb testing.TB, s *stub, server []grpc.ServerOption, client ...grpc.DialOption) testpb.TestServiceClient {
	tb.Helper()
	l := bufconn.Listen(1 << 20)
	g := grpc.NewServer(server...)
	testpb.RegisterTestServiceServer(g, s)
	run(tb, g, l)
	return testpb.NewTestServiceClient(dial(tb, bufTarget, append(bufOptions(l), client...)...))
}

// signingInput is what is signed of a token.
func signingInput(token string) string { return token[:strings.LastIndexByte(token, '.')] }

// bareSign signs what is as long as a task token, and as hard on HPACK.
func bareSign(key *ecdsa.PrivateKey, text string) ([]string, error) {
	sum := sha256.Sum256([]byte(text))
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		return nil, err
	}
	return []string{text + "." + base64.RawURLEncoding.EncodeToString(sig)}, nil
}

var errBare = errors.New("no signature that verifies")

func bareVerify(key *ecdsa.PublicKey, tokens []string) error {
	if len(tokens) != 1 {
		return errBare
	}
	text := signingInput(tokens[0])
	sig, err := base64.RawURLEncoding.DecodeString(tokens[0][len(text)+1:])
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(text))
	if len(sig) == 64 { // r and s side by side; bareSign writes the other form
		sig = der(sig)
	}
	if !ecdsa.VerifyASN1(key, sum[:], sig) {
		return errBare
	}
	return nil
}

func der(sig []byte) []byte {
	integer := func(n []byte) []byte {
		n = bytes.TrimLeft(n, "\x00")
		if len(n) == 0 || n[0] >= 0x80 {
			n = append([]byte{0}, n...)
		}
		return append([]byte{2, byte(len(n))}, n...)
	}
	rs := append(integer(sig[:32]), integer(sig[32:])...)
	return append([]byte{0x30, byte(len(rs))}, rs...)
}

// server returns the bare interceptor of a server, which signs if records is set.
func (f *floor) server(records bool) grpc.ServerOption {
	return grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		came := metadata.ValueFromIncomingContext(ctx, core.CarrierTokens)
		if err := bareVerify(&f.keys[0].PublicKey, came); err != nil {
			return nil, err
		}
		reply, err := handler(ctx, req)
		if err != nil || !records {
			return reply, err
		}
		token, err := bareSign(f.keys[1], signingInput(came[0]))
		if err != nil {
			return nil, err
		}
		return reply, grpc.SetTrailer(ctx, metadata.MD{core.CarrierTokens: token})
	})
}

// client returns the bare interceptor of a client: it signs, and verifies what comes back.
func (f *floor) client(tb testing.TB) grpc.DialOption {
	tb.Helper()
	text := signingInput(f.token(tb, &testpb.Message{}))
	return grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		token, err := bareSign(f.keys[0], text)
		if err != nil {
			return err
		}
		var trailer metadata.MD
		ctx = metadata.NewOutgoingContext(ctx, metadata.MD{core.CarrierTokens: token})
		if err := invoker(ctx, method, req, reply, cc, append(opts, grpc.Trailer(&trailer))...); err != nil {
			return err
		}
		return bareVerify(&f.keys[1].PublicKey, trailer[core.CarrierTokens])
	})
}

// hashing is protobuf, and a hash of every message that passes.
type hashing struct{ encoding.CodecV2 }

func hashingCodec() hashing { return hashing{encoding.GetCodecV2(proto.Name)} }

func (h hashing) Marshal(v any) (mem.BufferSlice, error) {
	data, err := h.CodecV2.Marshal(v)
	if err == nil {
		hashAll(data)
	}
	return data, err
}

func (h hashing) Unmarshal(data mem.BufferSlice, v any) error {
	hashAll(data)
	return h.CodecV2.Unmarshal(data, v)
}

func hashAll(data mem.BufferSlice) {
	h := sha256.New()
	for _, b := range data {
		h.Write(b.ReadOnlyData())
	}
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
}
