package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
)

// secure starts a TLS proxy for the endpoint, because STS uses TLS.
func secure(endpoint string) (*httptest.Server, error) {
	target, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 10_000},
	})
	front.Config.ErrorLog = log.New(io.Discard, "", 0) // drops messages about closed connections
	front.StartTLS()
	return front, nil
}

// trust makes the transport trust the certificate of the place.
func trust(transport *http.Transport, place Place) (*http.Transport, error) {
	certificate, err := x509.ParseCertificate(place.Certificate)
	if err != nil {
		return nil, err
	}
	known := x509.NewCertPool()
	known.AddCert(certificate)
	transport.TLSClientConfig = &tls.Config{RootCAs: known, MinVersion: tls.VersionTLS12}
	return transport, nil
}
