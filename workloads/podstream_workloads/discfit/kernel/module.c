/* The Python module podstream_workloads.discfit._kernel: argument checks around the loops.
 *
 * Uses the limited API, so one build serves every CPython from 3.11 on. ../_kernel.pyi has the
 * signatures, ../plain.py says what each function means.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <math.h>
#include <stdlib.h>

#include "kernel.h"

enum { WIDEST = 4 * 4096 };

/* Whether a buffer really holds the picture that the caller says; sets ValueError. */
static int take_plane(const Py_buffer *view, Py_ssize_t stride, int width, int height, plane_t *plane)
{
    if (width < 1 || height < 1 || width > WIDEST || height > WIDEST || stride < width ||
        view->len < stride * (height - 1) + width) {
        PyErr_SetString(PyExc_ValueError, "the buffer is smaller than the picture");
        return 0;
    }
    *plane = (plane_t){view->buf, stride, width, height};
    return 1;
}

/* Whether a place can be a pixel's; what lies far outside would not fit into an int. */
static int is_place(double x, double y, double r)
{
    if (fabs(x) < 1e5 && fabs(y) < 1e5 && r > 0 && r < 1e5)
        return 1;
    PyErr_SetString(PyExc_ValueError, "the disc is nowhere near a picture");
    return 0;
}

static int take_scores(const Py_buffer *view, int cols, int rows)
{
    if (cols < 1 || rows < 1 || cols > WIDEST || rows > WIDEST ||
        view->len < (Py_ssize_t)sizeof(float) * cols * rows) {
        PyErr_SetString(PyExc_ValueError, "the buffer is smaller than the grid");
        return 0;
    }
    return 1;
}

static PyObject *add_scores_(PyObject *self, PyObject *args)
{
    Py_buffer view, out;
    Py_ssize_t stride;
    int width, height, k, cols, rows;
    PyObject *result = NULL;
    plane_t plane;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*niiiw*ii", &view, &stride, &width, &height, &k, &out, &cols,
                          &rows))
        return NULL;
    if (!take_plane(&view, stride, width, height, &plane) || !take_scores(&out, cols, rows))
        goto end;
    if (k < 1 || k > 4 || k == 3 || cols * k > width || rows * k > height) {
        PyErr_SetString(PyExc_ValueError, "the grid does not fit into the picture");
        goto end;
    }
    float *grid = malloc((size_t)cols * (size_t)rows * sizeof *grid);
    if (!grid) {
        PyErr_NoMemory();
        goto end;
    }
    double fit[4];
    Py_BEGIN_ALLOW_THREADS
    box_means(plane, 0, 0, cols, rows, k, grid);
    background(grid, cols, rows, fit);
    add_scores(grid, cols, rows, fit, out.buf);
    free(grid);
    Py_END_ALLOW_THREADS
    result = Py_BuildValue("dddd", fit[0], fit[1], fit[2], fit[3]);
end:
    PyBuffer_Release(&view);
    PyBuffer_Release(&out);
    return result;
}

static PyObject *window_scores(PyObject *self, PyObject *args)
{
    Py_buffer view, out;
    Py_ssize_t stride;
    int width, height, x0, y0, k, cols, rows;
    double threshold, sign;
    PyObject *result = NULL;
    plane_t plane;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*niiiiiw*iidd", &view, &stride, &width, &height, &x0, &y0, &k,
                          &out, &cols, &rows, &threshold, &sign))
        return NULL;
    if (!take_plane(&view, stride, width, height, &plane) || !take_scores(&out, cols, rows))
        goto end;
    if (k < 1 || k > 4 || k == 3 || x0 < 0 || y0 < 0 || x0 + cols * k > width ||
        y0 + rows * k > height) {
        PyErr_SetString(PyExc_ValueError, "the window does not lie in the picture");
        goto end;
    }
    float *scores = out.buf;
    box_means(plane, x0, y0, cols, rows, k, scores);
    for (Py_ssize_t i = 0; i < (Py_ssize_t)cols * rows; i++)
        scores[i] = (float)sign * (scores[i] - (float)threshold);
    result = Py_NewRef(Py_None);
end:
    PyBuffer_Release(&view);
    PyBuffer_Release(&out);
    return result;
}

static PyObject *blobs_(PyObject *self, PyObject *args)
{
    Py_buffer view;
    int cols, rows, run_count = 0, count;
    double threshold, least, most;
    PyObject *result = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*iiddd", &view, &cols, &rows, &threshold, &least, &most))
        return NULL;
    if (!take_scores(&view, cols, rows)) {
        PyBuffer_Release(&view);
        return NULL;
    }
    run_t *runs = malloc(MAX_RUNS * sizeof *runs);
    blob_t *found = malloc(MAX_BLOBS * sizeof *found);
    if (!runs || !found) {
        PyErr_NoMemory();
        goto end;
    }
    Py_BEGIN_ALLOW_THREADS
    count = label_blobs(view.buf, cols, rows, (float)threshold, least, most, runs, &run_count,
                        found);
    Py_END_ALLOW_THREADS
    if (count < 0)
        count = run_count = 0;
    PyObject *list = PyList_New(count);
    for (int i = 0; list && i < count; i++) {
        const blob_t *blob = &found[i];
        PyObject *item = Py_BuildValue("ddddddiiiii", blob->n, blob->sx, blob->sy, blob->sxx,
                                       blob->syy, blob->sxy, blob->left, blob->top, blob->right,
                                       blob->bottom, blob->label);
        if (!item || PyList_SetItem(list, i, item) < 0)
            Py_CLEAR(list);
    }
    if (list)
        result = Py_BuildValue("Ny#", list, (char *)runs, (Py_ssize_t)run_count * (Py_ssize_t)sizeof *runs);
end:
    free(runs);
    free(found);
    PyBuffer_Release(&view);
    return result;
}

static PyObject *fit(PyObject *self, PyObject *args)
{
    Py_buffer view;
    Py_ssize_t stride;
    int width, height, may_be_exact;
    double least_w;
    disc_t disc = {0};
    fit_t found;
    plane_t plane;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*niidddddp", &view, &stride, &width, &height, &disc.x, &disc.y,
                          &disc.r, &disc.w, &least_w, &may_be_exact))
        return NULL;
    if (!take_plane(&view, stride, width, height, &plane) || !is_place(disc.x, disc.y, disc.r)) {
        PyBuffer_Release(&view);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    found = fit_disc(plane, &disc, least_w, may_be_exact);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&view);
    if (!found.rounds)
        return Py_NewRef(Py_None);
    return Py_BuildValue("dddddddddi", disc.x, disc.y, disc.r, disc.w, disc.f, disc.b, disc.gx,
                         disc.gy, found.sd, found.rounds);
}

static PyObject *judge(PyObject *self, PyObject *args)
{
    Py_buffer view;
    Py_ssize_t stride;
    int width, height;
    disc_t disc;
    verdict_t verdict = {0};
    plane_t plane;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*niidddddddd", &view, &stride, &width, &height, &disc.x, &disc.y,
                          &disc.r, &disc.w, &disc.f, &disc.b, &disc.gx, &disc.gy))
        return NULL;
    int is_plane = take_plane(&view, stride, width, height, &plane) &&
                   is_place(disc.x, disc.y, disc.r);
    if (is_plane)
        verdict = judge_disc(plane, &disc);
    PyBuffer_Release(&view);
    if (!is_plane)
        return NULL;
    return Py_BuildValue("iidd", verdict.sectors, verdict.agreeing, verdict.ring_rms,
                         verdict.shape_rms);
}

static PyObject *probe(PyObject *self, PyObject *args)
{
    Py_buffer view;
    Py_ssize_t stride;
    int width, height;
    double x, y, r, levels[2];
    plane_t plane;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*niiddd", &view, &stride, &width, &height, &x, &y, &r))
        return NULL;
    int is_plane = take_plane(&view, stride, width, height, &plane) && is_place(x, y, r);
    if (is_plane)
        probe_disc(plane, x, y, r, levels);
    PyBuffer_Release(&view);
    return is_plane ? Py_BuildValue("dd", levels[0], levels[1]) : NULL;
}

static PyMethodDef methods[] = {
    {"add_scores", add_scores_, METH_VARARGS, NULL},
    {"window_scores", window_scores, METH_VARARGS, NULL},
    {"blobs", blobs_, METH_VARARGS, NULL},
    {"fit", fit, METH_VARARGS, NULL},
    {"judge", judge, METH_VARARGS, NULL},
    {"probe", probe, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_kernel", NULL, 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernel(void)
{
    prepare_probes();
    return PyModule_Create(&definition);
}
