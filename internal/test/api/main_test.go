package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRunPrintsAllExportedIdentifiers(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(&out, []string{"./testdata/shop"}))
	assert.Equal(t, `package github.com/irsakit/irsakit/internal/test/api/testdata/shop
type Cart struct
	Items []Item
	fmt.Stringer
	(unexported fields)
func (*Cart).Pay(amount int) error
func (Cart).Empty() bool
const Currency untyped string = "EUR"
var ErrSoldOut error
type Item = string
type Money int
func Open(names ...Item) (*Cart, error)
type Payer interface
	Pay(amount int) error
`, out.String())
}

func TestRunReportsMissingPackage(t *testing.T) {
	assert.ErrorContains(t, run(&bytes.Buffer{}, []string{"./testdata/missing"}), "go list")
}
