// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
)

// TestSenderByPeer: of two heads, the one by the identity that TLS authenticated is held
// against the body.
func TestSenderByPeer(t *testing.T) {
	w := newWorld(t)
	other := w.domain.Agent(t, "other")
	body := []byte("what came")
	mine := func(b []byte) string { return w.headOver(t, b) }
	theirs := func(b []byte) string {
		return other.Token(w.to.Identity).With("out_hash", hashText(b)).Sign(t)
	}
	var state core.BodyState
	h := httpect.Middleware(w.service)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // the answer counts
		task, _ := core.TaskFromContext(r.Context())
		state = task.BodyState()
	}))
	for name, c := range map[string]struct {
		uris   []string
		tokens []string
		code   core.Code
		state  core.BodyState
	}{
		"mine right":        {[]string{w.from.Identity}, []string{theirs([]byte("x")), mine(body)}, 0, core.BodyBound},
		"mine wrong":        {[]string{w.from.Identity}, []string{theirs(body), mine([]byte("x"))}, core.CodeBody, 0},
		"theirs right":      {[]string{other.Identity}, []string{theirs(body), mine([]byte("x"))}, 0, core.BodyBound},
		"theirs wrong":      {[]string{other.Identity}, []string{theirs([]byte("x")), mine(body)}, core.CodeBody, 0},
		"a third":           {[]string{ecttest.Name + "/third"}, []string{mine([]byte("x"))}, 0, core.BodyNotBound},
		"no identity":       {nil, []string{mine(body)}, 0, core.BodyBound},
		"two identities":    {[]string{w.from.Identity, other.Identity}, []string{theirs([]byte("x")), mine([]byte("x"))}, 0, core.BodyNotBound},
		"the only one, so?": {[]string{w.from.Identity}, []string{mine([]byte("x"))}, core.CodeBody, 0},
	} {
		t.Run(name, func(t *testing.T) {
			cert, pool := clientCert(t, c.uris...)
			s := serve(t, http2, h, func(srv *httptest.Server) {
				srv.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
			})
			tr := s.transport(t)
			tr.TLSClientConfig.Certificates = []tls.Certificate{cert}
			s.client.Transport = tr
			r := s.send(t, "POST", "/", chunked(body), c.tokens...)
			if c.code != 0 {
				r.refused(t, c.code)
				return
			}
			if r.StatusCode != 200 || state != c.state {
				t.Errorf("%v (%s), BodyState = %v, want %v", r, r.body, state, c.state)
			}
		})
	}
}

// clientCert returns a certificate with URI SANs, and a pool that trusts it.
func clientCert(t *testing.T, uris ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key := ecttest.NewKey(t, core.ES256)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true, IsCA: true,
	}
	for _, u := range uris {
		parsed, err := url.Parse(u)
		if err != nil {
			t.Fatal(err)
		}
		template.URIs = append(template.URIs, parsed)
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
