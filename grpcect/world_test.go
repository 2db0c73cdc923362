// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// patience is how long a test waits for what must happen before it says that it hangs.
const patience = 20 * time.Second

// stub is the test service; what it does is in its fields. A nil one is not implemented.
type stub struct {
	testpb.UnimplementedTestServiceServer
	unary        func(context.Context, *testpb.Message) (*testpb.Message, error)
	serverStream func(*testpb.Message, grpc.ServerStreamingServer[testpb.Message]) error
	clientStream func(grpc.ClientStreamingServer[testpb.Message, testpb.Message]) error
	bidi         func(grpc.BidiStreamingServer[testpb.Message, testpb.Message]) error
	empty        func(context.Context, *testpb.Empty) (*testpb.Empty, error)
}

func (s *stub) Unary(ctx context.Context, m *testpb.Message) (*testpb.Message, error) {
	if s.unary == nil {
		return s.UnimplementedTestServiceServer.Unary(ctx, m)
	}
	return s.unary(ctx, m)
}

func (s *stub) Put(ctx context.Context, m *testpb.Message) (*testpb.Message, error) {
	return s.Unary(ctx, m)
}

func (s *stub) Get(ctx context.Context, m *testpb.Message) (*testpb.Message, error) {
	return s.Unary(ctx, m)
}

func (s *stub) List(m *testpb.Message, st grpc.ServerStreamingServer[testpb.Message]) error {
	return s.ServerStream(m, st)
}

func (s *stub) Merge(st grpc.ClientStreamingServer[testpb.Message, testpb.Message]) error {
	return s.ClientStream(st)
}

func (s *stub) ServerStream(m *testpb.Message, st grpc.ServerStreamingServer[testpb.Message]) error {
	if s.serverStream == nil {
		return s.UnimplementedTestServiceServer.ServerStream(m, st)
	}
	return s.serverStream(m, st)
}

func (s *stub) ClientStream(st grpc.ClientStreamingServer[testpb.Message, testpb.Message]) error {
	if s.clientStream == nil {
		return s.UnimplementedTestServiceServer.ClientStream(st)
	}
	return s.clientStream(st)
}

func (s *stub) BidiStream(st grpc.BidiStreamingServer[testpb.Message, testpb.Message]) error {
	if s.bidi == nil {
		return s.UnimplementedTestServiceServer.BidiStream(st)
	}
	return s.bidi(st)
}

func (s *stub) UnaryEmpty(ctx context.Context, m *testpb.Empty) (*testpb.Empty, error) {
	if s.empty == nil {
		return s.UnimplementedTestServiceServer.UnaryEmpty(ctx, m)
	}
	return s.empty(ctx, m)
}

// seen is what observers were told, in order.
type seen struct {
	mu       sync.Mutex
	issued   []*core.Issued
	rejected []*core.Error
	differed []*core.Error
	unsent   []*core.Issued
	lost     []*core.Error
}

func (s *seen) observer() core.Observer {
	return core.Observer{
		Issued: func(_ context.Context, i *core.Issued) { s.note(func() { s.issued = append(s.issued, i) }) },
		Rejected: func(_ context.Context, e *core.Error, _ core.VerifyInfo) {
			s.note(func() { s.rejected = append(s.rejected, e) })
		},
		BodyDiffered: func(_ context.Context, e *core.Error, _ core.VerifyInfo) {
			s.note(func() { s.differed = append(s.differed, e) })
		},
		Unsent: func(_ context.Context, i *core.Issued) { s.note(func() { s.unsent = append(s.unsent, i) }) },
		Unrecorded: func(_ context.Context, e *core.Error, _ core.VerifyInfo) {
			s.note(func() { s.lost = append(s.lost, e) })
		},
	}
}

func (s *seen) note(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// tokens returns what was issued so far.
func (s *seen) tokens() []*core.Issued {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*core.Issued(nil), s.issued...)
}

// codes returns the codes that observers were told of, rejected ones first.
func (s *seen) codes() (all []core.Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, list := range [][]*core.Error{s.rejected, s.differed, s.lost} {
		for _, e := range list {
			all = append(all, e.Code)
		}
	}
	return all
}

// last returns the token that was issued last.
func (s *seen) last(t testing.TB) core.Claims {
	t.Helper()
	all := s.tokens()
	if len(all) == 0 {
		t.Fatal("nothing was issued")
	}
	return all[len(all)-1].Claims()
}

// side is one of the two services of a world.
type side struct {
	agent   *ecttest.Agent
	policy  core.Policy
	options []core.VerifierOption
	tells   core.Audience
	service *core.Service
	seen    *seen
}

// world is a service, and another that calls it.
type world struct {
	domain   *ecttest.Domain
	from, to *side
	// server and client are options of the interceptors; the others of grpc-go stand after
	// them in the chain.
	server        []grpcect.Option
	client        []grpcect.ClientOption
	serverOptions []grpc.ServerOption
	dialOptions   []grpc.DialOption
	// peerless leaves out TLS client certificates.
	peerless bool
}

// newWorld makes a world in which both sides tell each other everything.
func newWorld(t testing.TB, edits ...func(*world)) *world {
	t.Helper()
	w := &world{domain: ecttest.NewDomain()}
	w.from, w.to = &side{agent: w.domain.Agent(t, "from")}, &side{agent: w.domain.Agent(t, "to")}
	for _, s := range []*side{w.from, w.to} {
		s.policy, s.seen = s.agent.Policy(), &seen{}
	}
	w.from.tells = core.Audience{ID: w.to.agent.Identity, Tokens: true, Hashes: true, Answer: core.AnswerRequired}
	w.to.tells = core.Audience{ID: w.from.agent.Identity, Tokens: true, Hashes: true}
	for _, e := range edits {
		e(w)
	}
	for _, s := range []*side{w.from, w.to} {
		s.service = w.domain.ServiceWithPolicy(t, s.agent, s.policy, []core.Audience{s.tells},
			append(s.options, core.WithObserver(s.seen.observer()))...)
	}
	w.client = append(w.client, grpcect.WithAudience(w.to.agent.Identity))
	return w
}

// transport is a way for a world's two sides to meet.
type transport struct {
	name string
	dial func(t testing.TB, w *world, s *stub) *grpc.ClientConn
}

var transports = []transport{{"bufconn", dialBufconn}, {"TLS", dialTLS}}

// serve runs the service on a listener until the test ends.
func (w *world) serve(t testing.TB, l net.Listener, s *stub, opts ...grpc.ServerOption) {
	t.Helper()
	all := append(grpcect.ServerOptions(w.to.service, w.server...), opts...)
	server := grpc.NewServer(append(all, w.serverOptions...)...)
	testpb.RegisterTestServiceServer(server, s)
	run(t, server, l)
}

// run has a server serve until the test ends, which may be before it began to.
func run(t testing.TB, server *grpc.Server, l net.Listener) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Errorf("Serve: %v", err)
		}
	})
}

// connect returns a connection whose calls are recorded.
func (w *world) connect(t testing.TB, target string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	return dial(t, target, append(append(opts, grpcect.DialOptions(w.from.service, w.client...)...), w.dialOptions...)...)
}

func dial(t testing.TB, target string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	cc, err := grpc.NewClient(target, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cc.Close(); err != nil {
			t.Error(err)
		}
	})
	return cc
}

// bufTarget is the target of a connection over bufconn.
const bufTarget = "passthrough:///bufconn"

// bufOptions are what a connection to a listener in memory needs.
func bufOptions(l *bufconn.Listener) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
	}
}

func dialBufconn(t testing.TB, w *world, s *stub) *grpc.ClientConn {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	w.serve(t, l, s)
	return w.connect(t, bufTarget, bufOptions(l)...)
}

func dialTLS(t testing.TB, w *world, s *stub) *grpc.ClientConn {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ca := newCA(t)
	w.serve(t, l, s, grpc.Creds(credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{ca.issue(t, w.to.agent.Identity)},
		ClientCAs: ca.pool, ClientAuth: tls.VerifyClientCertIfGiven,
	})))
	c := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: ca.pool, ServerName: "server.test"}
	if !w.peerless {
		c.Certificates = []tls.Certificate{ca.issue(t, w.from.agent.Identity)}
	}
	return w.connect(t, l.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(c)))
}

// ca issues certificates.
type ca struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newCA(t testing.TB) *ca {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &ca{cert, key, pool}
}

// issue returns a certificate for an identity.
func (c *ca) issue(t testing.TB, identity string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := url.Parse(identity)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: c.cert.NotBefore, NotAfter: c.cert.NotAfter,
		DNSNames: []string{"server.test"}, URIs: []*url.URL{id},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, c.cert, key.Public(), c.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// task returns a context with a running task of the caller.
func (w *world) task(t testing.TB) (context.Context, *core.Task) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	ctx, task, err := w.from.service.StartTask(ctx, "test")
	if err != nil {
		t.Fatal(err)
	}
	return ctx, task
}
