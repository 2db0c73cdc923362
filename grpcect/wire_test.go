// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
)

// servicePath begins the path of every method of the test service.
const servicePath = "/ect.test.v1.TestService/"

// wire is a client that frames its messages by hand, so that a test says what is on the
// wire and sees what comes back.
type wire struct{ client *http.Client }

// wire returns such a client of the world's service.
func (w *world) wire(t testing.TB, s *stub) *wire {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	w.serve(t, l, s)
	tr := &http.Transport{
		Protocols:   new(http.Protocols),
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.DialContext(ctx) },
		// Bytes are to pass as they come.
		DisableCompression: true,
	}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return &wire{&http.Client{Transport: tr}}
}

// wireCall is a call of a method with messages of these very bytes.
type wireCall struct {
	method   string
	token    string
	messages [][]byte
	// gzip compresses the messages, and subtype names another codec.
	gzip    bool
	subtype string
	// header has more fields.
	header http.Header
}

// wireReply is what came back.
type wireReply struct {
	// messages are what came, without compression.
	messages        [][]byte
	compressed      bool
	status          *status.Status
	header, trailer http.Header
}

// frame puts the prefix of a message before it, and compresses it if that is asked for.
func frame(message []byte, zip bool) []byte {
	flag := byte(0)
	if zip {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(message) //nolint:errcheck // a buffer takes everything
		z.Close()
		flag, message = 1, b.Bytes()
	}
	return append(binary.BigEndian.AppendUint32([]byte{flag}, uint32(len(message))), message...)
}

// unframe takes the next message from a body; io.EOF says that there is none.
func unframe(body io.Reader) (message []byte, zip bool, err error) {
	var prefix [5]byte
	if _, err := io.ReadFull(body, prefix[:]); err != nil {
		return nil, false, err
	}
	raw := make([]byte, binary.BigEndian.Uint32(prefix[1:]))
	if _, err := io.ReadFull(body, raw); err != nil {
		return nil, false, errors.Join(errors.New("a message is cut off"), err)
	}
	if prefix[0] == 0 {
		return raw, false, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, false, err
	}
	message, err = io.ReadAll(z)
	return message, true, err
}

// wireHash is the hash that stands for messages (profile 9.6).
func wireHash(messages ...[]byte) core.Hash {
	h := sha256.New()
	for _, m := range messages {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(m))))
		h.Write(m)
	}
	return core.Hash{Sum: [32]byte(h.Sum(nil)), Present: true}
}

// claimOf is a hash as a claim has it.
func claimOf(h core.Hash) string { return base64.RawURLEncoding.EncodeToString(h.Sum[:]) }

// request prepares a call whose body is up to the caller.
func (c wireCall) request(ctx context.Context, t testing.TB, body io.Reader) *http.Request {
	t.Helper()
	u := url.URL{Scheme: "http", Host: "bufconn", Path: servicePath + c.method}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), body)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, c.header)
	req.Header.Set("Content-Type", "application/grpc"+c.subtype)
	req.Header.Set("Te", "trailers")
	if c.gzip {
		req.Header.Set("Grpc-Encoding", "gzip")
		req.Header.Set("Grpc-Accept-Encoding", "gzip")
	}
	if c.token != "" {
		req.Header.Set(core.CarrierTokens, c.token)
	}
	return req
}

// call makes a call, all of whose messages are sent at once, and reads it to its end.
func (w *wire) call(t testing.TB, c wireCall) (r wireReply) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var body bytes.Buffer
	for _, m := range c.messages {
		body.Write(frame(m, c.gzip))
	}
	resp, err := w.client.Do(c.request(ctx, t, &body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", c.method, resp.Status)
	}
	for {
		message, zip, err := unframe(resp.Body)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		r.compressed = r.compressed || zip
		r.messages = append(r.messages, message)
	}
	r.header, r.trailer = resp.Header, resp.Trailer
	if len(r.trailer) == 0 { // all of it came in one head
		r.trailer = resp.Header
	}
	r.status = statusOf(t, r.trailer)
	return r
}

// statusOf reads the status of a call out of its trailers.
func statusOf(t testing.TB, h http.Header) *status.Status {
	t.Helper()
	code, err := strconv.ParseUint(h.Get("Grpc-Status"), 10, 32)
	if err != nil {
		t.Fatalf("Grpc-Status: %v, in %v", err, h)
	}
	details := h.Get("Grpc-Status-Details-Bin")
	if details == "" {
		return status.New(codes.Code(code), h.Get("Grpc-Message"))
	}
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(details, "="))
	if err != nil {
		t.Fatal(err)
	}
	var p spb.Status
	if err := proto.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	if codes.Code(p.GetCode()) != codes.Code(code) {
		t.Errorf("Grpc-Status is %d, and its details say %d", code, p.GetCode())
	}
	return status.FromProto(&p)
}

// refusedAs fails unless a call was refused as belonging to a class.
func (r wireReply) refusedAs(t testing.TB, want core.Class) {
	t.Helper()
	if got, ok := grpcect.RefusedAs(r.status.Err()); !ok || got != want {
		t.Errorf("the call ended with %v, want it refused as %v", r.status.Err(), want)
	}
	if n := len(r.trailer[http.CanonicalHeaderKey(core.CarrierTokens)]); n > 0 || len(r.messages) > 0 {
		t.Errorf("a refusal came with %d tokens and %d messages", n, len(r.messages))
	}
}

// answer returns the claims of the answer to a call that ended well.
func (r wireReply) answer(t testing.TB) core.Claims {
	t.Helper()
	tokens := r.trailer[http.CanonicalHeaderKey(core.CarrierTokens)]
	if err := r.status.Err(); err != nil || len(tokens) != 1 {
		t.Fatalf("the call ended with %v and %d tokens, want one", err, len(tokens))
	}
	u, err := core.ParseWithoutVerification(tokens[0])
	if err != nil {
		t.Fatal(err)
	}
	return u.ClaimsWithoutVerification()
}
