// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// demonstrate runs a document through the pipeline and shows what came of it.
func demonstrate(ctx context.Context, document []byte, stdout io.Writer) (err error) {
	p, err := newPipeline(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()

	out := &printer{w: stdout}
	out.line("A document of %d bytes goes through services of four vendors.", len(document))
	d, err := p.submit(ctx, document)
	if err != nil {
		return err
	}
	out.line("Labels: %s. Decision: %s (%s).\n", strings.Join(d.Labels, ", "), d.Decision, d.Reason)

	g := newGraph(p.agents(), p.tokens())
	out.line("What was recorded, in the order it was issued:\n")
	out.do(g.printTable)
	out.line("\nThe same as a Mermaid diagram:\n")
	out.do(g.printMermaid)
	if err := g.check(p.agents()); err != nil {
		return err
	}
	if err := g.joined(); err != nil {
		return err
	}
	out.line("\nChecked with go-jose and the public keys alone: %d signatures and every edge.", len(g.tokens))
	out.line("The two branches begin together, stand apart and meet in the call to approve.\n")

	out.line("What is refused:\n")
	if err := p.refusals(ctx, document, out); err != nil {
		return err
	}
	out.line("\nAll as it should be.")
	return out.err
}

// attempt is a request that somebody makes who should not get through with it.
type attempt struct {
	what   string
	to     *agent
	path   string
	tokens []string
	body   []byte
	status int
	code   string
}

// refusals makes each attempt against the running services.
func (p *pipeline) refusals(ctx context.Context, document []byte, out *printer) error {
	attempts, err := p.attempts(ctx, document)
	if err != nil {
		return err
	}
	tw := tabwriter.NewWriter(out.w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "attempt\tat\tstatus\tcode\tas it should be") //nolint:errcheck // Flush tells
	var wrong []string
	for _, a := range attempts {
		status, code, err := a.make(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", a.what, err)
		}
		verdict := "yes"
		if status != a.status || code != a.code {
			verdict = fmt.Sprintf("NO: %d %s was due", a.status, a.code)
			wrong = append(wrong, a.what)
		}
		fmt.Fprintf(tw, "%s\t%s\t%d\t%s\t%s\n", a.what, a.to.name, status, code, verdict) //nolint:errcheck // Flush tells
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if len(wrong) > 0 {
		return fmt.Errorf("not as it should be: %s", strings.Join(wrong, "; "))
	}
	return nil
}

func (p *pipeline) attempts(ctx context.Context, document []byte) ([]attempt, error) {
	// The submitter starts another task, and its dispatches fall into the wrong hands.
	ctx, task, err := p.submitter.service.StartTask(ctx, "submit_document")
	if err != nil {
		return nil, err
	}
	dispatch := func() (string, error) {
		d, err := task.Dispatch(ctx, p.intake.audience(), core.DispatchInput{OutHash: hashOf(document)})
		if err != nil {
			return "", err
		}
		return d.Tokens()[0], nil
	}
	var tokens [6]string
	for n := range tokens {
		if tokens[n], err = dispatch(); err != nil {
			return nil, err
		}
	}
	parts := strings.Split(tokens[1], ".")
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, err
	}
	forged := strings.Replace(string(claims), `"exec_act":"dispatch"`, `"exec_act":"override"`, 1)
	tampered := parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(forged)) + "." + parts[2]
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"exec+jwt","kid":"x"}`)) + "." + parts[1] + "."

	const documents = "/documents"
	return []attempt{
		{"the token as it was issued", p.intake, documents, tokens[:1], document, http.StatusOK, ""},
		{"replay: the same token again", p.intake, documents, tokens[:1], document, http.StatusForbidden, "replayed"},
		{"tampering: another action in the claims", p.intake, documents, []string{tampered}, document, http.StatusForbidden, "rejected"},
		{"tampering: another body under a good token", p.intake, documents, tokens[2:3], []byte("another document"), http.StatusForbidden, "rejected"},
		{"downgrade: the claims without a signature", p.intake, documents, []string{parts[1]}, document, http.StatusForbidden, "rejected"},
		{"downgrade: alg none", p.intake, documents, []string{none}, document, http.StatusForbidden, "rejected"},
		{"a token for another audience", p.approve, "/decisions", tokens[3:4], document, http.StatusForbidden, "rejected"},
		{"no token", p.intake, documents, nil, document, http.StatusForbidden, "required"},
		{"not a token", p.intake, documents, []string{"a.b"}, document, http.StatusBadRequest, "malformed"},
	}, nil
}

// make sends the request as a stranger would, without the library's transport.
func (a *attempt) make(ctx context.Context) (status int, code string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.to.origin()+a.path, bytes.NewReader(a.body))
	if err != nil {
		return 0, "", err
	}
	for _, t := range a.tokens {
		req.Header.Add(httpect.FieldName, t)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return 0, "", err
	}
	if resp.Header.Get("Content-Type") != "application/problem+json" {
		return resp.StatusCode, "", nil
	}
	var problem struct {
		Code string `json:"code"`
	}
	err = json.Unmarshal(body, &problem)
	return resp.StatusCode, problem.Code, err
}

// printer writes lines and remembers the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	p.do(func(w io.Writer) error {
		_, err := fmt.Fprintf(w, format+"\n", args...)
		return err
	})
}

func (p *printer) do(f func(io.Writer) error) {
	if p.err == nil {
		p.err = f(p.w)
	}
}
