// Api prints the exported API of packages, one line for each exported identifier, so that
// API changes are readable in a diff.
//
//	go run ./internal/test/api ./irsa ./cache
package main

import (
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}

// run prints the API of the packages in the order in which the go command lists them.
func run(out io.Writer, patterns []string) error {
	paths, err := list(append([]string{"list", "-f", "{{.ImportPath}}"}, patterns...)...)
	if err != nil {
		return err
	}
	built, err := list(append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}"}, patterns...)...)
	if err != nil {
		return err
	}
	files := map[string]string{}
	for _, line := range built {
		path, file, _ := strings.Cut(line, " ")
		files[path] = file
	}
	load := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) { return os.Open(files[path]) })
	for i, path := range paths {
		pkg, err := load.Import(path)
		if err != nil {
			return err
		}
		if i > 0 {
			fmt.Fprintln(out)
		}
		describe(out, pkg)
	}
	return nil
}

// list runs the go command and returns the lines that it prints.
func list(arguments ...string) ([]string, error) {
	out, err := exec.Command("go", arguments...).Output() // #nosec G204 G702 -- the user could run the go command directly
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return nil, fmt.Errorf("go list: %s", failed.Stderr)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n"), err
}

// describe prints the exported identifiers of a package.
func describe(out io.Writer, pkg *types.Package) {
	name := types.RelativeTo(pkg)
	fmt.Fprintf(out, "package %s\n", pkg.Path())
	for _, exported := range pkg.Scope().Names() {
		object := pkg.Scope().Lookup(exported)
		if !object.Exported() {
			continue
		}
		switch o := object.(type) {
		case *types.Const:
			fmt.Fprintf(out, "%s = %s\n", types.ObjectString(o, name), o.Val())
		case *types.TypeName:
			describeType(out, o, name)
		default:
			fmt.Fprintln(out, types.ObjectString(o, name))
		}
	}
}

// describeType prints a type with its exported fields and methods.
func describeType(out io.Writer, object *types.TypeName, name types.Qualifier) {
	switch t := object.Type().Underlying().(type) {
	case *types.Struct:
		fmt.Fprintf(out, "type %s struct\n", object.Name())
		hidden := false
		for field := range t.Fields() {
			switch {
			case !field.Exported():
				hidden = true
			case field.Embedded():
				fmt.Fprintf(out, "\t%s\n", types.TypeString(field.Type(), name))
			default:
				fmt.Fprintf(out, "\t%s %s\n", field.Name(), types.TypeString(field.Type(), name))
			}
		}
		if hidden {
			fmt.Fprintln(out, "\t(unexported fields)")
		}
	case *types.Interface:
		fmt.Fprintf(out, "type %s interface\n", object.Name())
		for method := range t.Methods() {
			fmt.Fprintf(out, "\t%s%s\n", method.Name(), strings.TrimPrefix(types.TypeString(method.Type(), name), "func"))
		}
	default:
		fmt.Fprintln(out, types.ObjectString(object, name))
	}
	named, ok := object.Type().(*types.Named)
	if !ok {
		return
	}
	var methods []string
	for method := range named.Methods() {
		if method.Exported() {
			methods = append(methods, types.ObjectString(method, name))
		}
	}
	slices.Sort(methods)
	for _, method := range methods {
		fmt.Fprintln(out, method)
	}
}
